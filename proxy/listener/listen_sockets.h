#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/socket.h"

// The listening sockets of an address: one for every worker (SO_REUSEPORT), so that the kernel spreads connections and
// workers share nothing. The main thread binds them, so that what cannot be bound is one clear error; each worker's
// acceptor takes its own. A changed listener shares those of the one that it replaces, so that nobody who connects
// meanwhile is refused; a socket closes with the last who has it.

namespace weft::listener {

using ListenSocket = std::shared_ptr<const transport::Descriptor>;

class ListenAddress {
 public:
  // Binds; errors name the address. Port 0: the system chooses, the same for all workers.
  static absl::StatusOr<std::shared_ptr<ListenAddress>> bind(const snapshot::Listener& listener,
                                                             const transport::Address& address, uint32_t workers);
  // Takes away a Unix socket's file.
  ~ListenAddress();
  ListenAddress(const ListenAddress&) = delete;
  ListenAddress& operator=(const ListenAddress&) = delete;

  // From now on one can connect. May be called again for another listener that takes the address over.
  absl::Status listen(const snapshot::Listener& listener);
  // Whether these sockets are what binding this address of that listener would give.
  bool serves(const snapshot::Listener& listener, const transport::Address& address) const;

  const transport::Address& configured() const { return configured_; }
  // As bound: its port is not 0.
  const transport::Address& bound() const { return bound_; }
  const ListenSocket& socket(uint32_t worker) const { return sockets_[worker]; }

 private:
  ListenAddress(transport::Address configured, transport::ListenOptions options)
      : configured_(std::move(configured)), bound_(configured_), options_(options) {}

  transport::Address configured_;
  transport::Address bound_;
  transport::ListenOptions options_;
  std::vector<ListenSocket> sockets_;
};
using ListenAddressPtr = std::shared_ptr<ListenAddress>;

}  // namespace weft::listener
