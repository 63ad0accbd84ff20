#pragma once

// For whom resources are compiled: all nodes of one audience run the same. A value.

#include <compare>
#include <cstdint>
#include <string>

namespace weft::control::compile {

struct Audience {
  // Short names of services are of this namespace, and so are the consumer routes that hold.
  std::string namespace_name;
  // gRPC's own xDS client: a listener for each name that it may ask for, and only what it understands. Otherwise a
  // proxy.
  bool is_grpc_client = false;
  // Where a proxy listens, on loopback, for its application's HTTP; 0 for none.
  uint16_t outbound_port = 0;

  auto operator<=>(const Audience&) const = default;
};

}  // namespace weft::control::compile
