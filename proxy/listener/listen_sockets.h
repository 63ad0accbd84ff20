#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/socket.h"

// The listening sockets of one listener: for every worker and address one (SO_REUSEPORT), so that the kernel spreads
// connections and workers share nothing. Opened by the main thread before any worker serves, so that what cannot be
// bound is one clear error; then each worker's acceptor takes its own.

namespace weft::listener {

struct ListenSockets {
  std::vector<transport::Address> addresses;                       // As bound: no port is 0.
  std::vector<std::vector<transport::Descriptor>> worker_sockets;  // [worker][address]
};

absl::StatusOr<ListenSockets> open_listen_sockets(const snapshot::Listener& listener, uint32_t workers);

}  // namespace weft::listener
