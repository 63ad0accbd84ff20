#pragma once

// Who may open a stream. Implementations are safe to call from any thread.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace weft::control::xds {

class Gate {
 public:
  virtual ~Gate() = default;
  // The id of the credential that the stream's authorization header ("" if it has none) shows. On an error, which says
  // what is wrong, the stream is ended with it.
  virtual absl::StatusOr<std::string> authenticate(std::string_view authorization) = 0;
  // Whether the node of the stream's first message may come in by it.
  virtual absl::Status admit(const std::string& credential, const envoy::config::core::v3::Node& node) = 0;
};

}  // namespace weft::control::xds
