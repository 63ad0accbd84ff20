#pragma once

// The discovery service of the simulated control plane on HTTP/2, as bytes: our own server codec on a simulated
// connection, each call handed to the control plane as a link. gRPC's own server has threads and sockets that cannot be
// simulated. One thread.

#include <cstdint>
#include <map>
#include <memory>

#include "tests/simulation/control_plane.h"
#include "tests/simulation/pipe.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Server {
 public:
  Server(World& world, ControlPlane& control_plane);
  ~Server();

  // A connection has reached it. False: nobody listens.
  bool accept(const PipePointer& pipe);
  // All connections break.
  void crash();

 private:
  class Call;
  class Connection;

  World& world_;
  ControlPlane& control_plane_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t last_connection_ = 0;
};

}  // namespace weft::simulation
