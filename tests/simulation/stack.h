#pragma once

// A proxy's streams through the whole of its own stack: the source over gRPC with its backoff, calls, pools and HTTP/2
// connections, down to the bytes of a simulated connection. One thread.

#include <memory>
#include <string>

#include "envoy/config/core/v3/base.pb.h"
#include "tests/simulation/server.h"
#include "tests/simulation/streams.h"

namespace weft::simulation {

struct StackOptions {
  std::string name;
  envoy::config::core::v3::Node node;
  bool delta = false;
  bool aggregated = true;
  bool rate_limited = false;
};

// Destroyed between turns of the loop.
std::unique_ptr<Streams> make_stack_streams(World& world, Server& server, config::xds::Consumer& consumer,
                                            StackOptions options);

}  // namespace weft::simulation
