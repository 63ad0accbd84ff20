#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/dns/upstream.h"
#include "proxy/event/loop.h"
#include "proxy/transport/socket.h"

// Where questions come in: UDP and TCP on the same addresses, all of loopback. What it takes of one client, and of all
// together, is bounded. One thread, the loop's; but sockets may be bound on another one.

namespace weft::dns {

class Listener {
 public:
  struct Sockets {
    transport::Descriptor udp, tcp;
  };
  // Port 0 is one that is free for both. Errors name the address.
  static absl::StatusOr<Sockets> bind(const transport::Address& address);

  using Reply = std::function<void(std::string_view message)>;
  // Answers a message by `reply`, once; at once or later, even if nobody is there any more, but not after this object's
  // end. With nothing, where there is nothing to say.
  using Handler = std::function<void(std::string_view message, Protocol protocol, Reply reply)>;
  Listener(event::LibeventLoop& loop, std::vector<Sockets> sockets, Handler handler);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  class Connection;
  class Endpoint;
  static constexpr size_t kMaxConnections = 64;

  event::LibeventLoop& loop_;
  Handler handler_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  base::IntrusiveList<Connection, Connection> connections_;
  size_t open_ = 0;
};

}  // namespace weft::dns
