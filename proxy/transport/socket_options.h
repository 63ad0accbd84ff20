#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "proxy/transport/byte_stream.h"

// What a configuration may say of client sockets, and the connector of plain connections made from it.

namespace weft::transport {

struct TcpKeepalive {
  // Seconds, or counts; 0 leaves the system's value.
  uint32_t probes = 0;
  uint32_t time_s = 0;
  uint32_t interval_s = 0;
  bool operator==(const TcpKeepalive&) const = default;
};

struct SocketOptions {
  std::optional<TcpKeepalive> keepalive;  // Unset: SO_KEEPALIVE stays off.
  std::optional<Address> source;          // Bound before connecting; port 0: any. Ignored for another family.
  bool freebind = false;                  // The source address may be one that the host does not have.
  bool transparent = false;               // IP_TRANSPARENT; needs CAP_NET_ADMIN.
  uint32_t mark = 0;                      // SO_MARK; 0: none.
  uint32_t user_timeout_ms = 0;           // TCP_USER_TIMEOUT; 0: the system's.
  bool operator==(const SocketOptions&) const = default;
};

// Stateless; may be shared by all workers. Its streams need an event::LibeventLoop.
std::shared_ptr<Connector> make_plain_connector(SocketOptions options);

}  // namespace weft::transport
