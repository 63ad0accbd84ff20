#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "proxy/transport/byte_stream.h"

// A worker's listeners by the addresses that they are for, among which a listener with use_original_dst finds who takes
// a connection in its place. Owned by the worker, on its thread.

namespace weft::listener {

class Acceptor;

class Directory {
 public:
  // An address of which the listener does not know the port is left out, and so is a path.
  void add(const transport::Address& address, Acceptor& acceptor);
  // Only if the acceptor is the one that stands there.
  void remove(const transport::Address& address, const Acceptor& acceptor);
  // That of the address itself, else that of all addresses of its family with this port; nullptr: there is none.
  Acceptor* find(const transport::Address& address) const;

 private:
  absl::flat_hash_map<std::string, Acceptor*> acceptors_;
};

}  // namespace weft::listener
