#pragma once

// For whom resources are compiled: all nodes of one audience run the same. A value.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control-plane/registry/visibility.h"

namespace weft::control::compile {

struct Audience {
  // Short names of services are of this namespace, and so are the consumer routes that hold.
  std::string namespace_name;
  // The services that it means to call; unset for all that it may see. Sorted, each once. A gRPC client has none: it
  // gets what it asks for.
  std::optional<std::vector<registry::HostPattern>> scope;
  // gRPC's own xDS client: a listener for each name that it may ask for, and only what it understands. Otherwise a
  // proxy.
  bool is_grpc_client = false;
  // Where a proxy listens, on loopback, for its application's HTTP; 0 for none.
  uint16_t outbound_port = 0;

  auto operator<=>(const Audience&) const = default;
};

}  // namespace weft::control::compile
