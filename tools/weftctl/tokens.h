#pragma once

// `weftctl token`: makes, lists and revokes join tokens. Main thread. Each returns the process's exit code (client.h).

#include <cstdint>
#include <string>

#include "weft/v1/control.grpc.pb.h"

namespace weft::weftctl {

struct TokenOptions {
  std::string namespace_name = "default";
  std::string service;
  std::string ttl = "24h";
  uint32_t uses = 0;
  // Of the one that is revoked.
  std::string id;
};

// The token alone goes to the standard output, so that it can be kept by `>`.
int create_token(const TokenOptions& options, v1::Control::Stub* stub, const std::string& socket);
// `output`: "json", "yaml", or empty for a table.
int list_tokens(const std::string& output, v1::Control::Stub* stub, const std::string& socket);
int revoke_token(const std::string& id, v1::Control::Stub* stub, const std::string& socket);

}  // namespace weft::weftctl
