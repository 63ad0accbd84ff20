#pragma once

// `weftctl explain`: what becomes of a request that a workload of a namespace makes. What is asked of the control plane
// is put together with what the proxy's matcher says of it. Main thread.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/weftctl/match.h"
#include "weft/v1/control.grpc.pb.h"

namespace weft::weftctl {

struct ExplainOptions {
  // "NAMESPACE" or "NAMESPACE/SERVICE".
  std::string from;
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;
  // A file with a proxy's /config_dump, whose routes are then those that count; "-" is standard input.
  std::string config_dump;
  // "json" or "yaml"; a text for people if empty.
  std::string output;
};

// Pure. InvalidArgument if the proxy would refuse the routes.
absl::StatusOr<v1::Explanation> explanation(const v1::ExplainResponse& mesh, const std::string& namespace_name,
                                            const Request& request);
// For people.
std::string print(const v1::Explanation& explanation);

// Returns the process's exit code (client.h): kDifferent if no route matches.
int explain(const ExplainOptions& options, v1::Control::Stub* stub, const std::string& socket);

}  // namespace weft::weftctl
