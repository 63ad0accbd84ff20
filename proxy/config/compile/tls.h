#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/transport/tls_config.h"

// Transport sockets: TLS towards clients and towards endpoints, or plain text.

namespace weft::config {

// What a filter chain's transport_socket asks for; nullptr for plain text, and, with an error, for what is not valid.
std::shared_ptr<const transport::ServerTls> compile_server_tls(Context& context, const core_v3::TransportSocket& socket,
                                                               std::string_view path);

struct UpstreamTransport {
  std::shared_ptr<transport::Connector> connector;
  // All that the handshake and the socket depend on, by value: equal texts mean equal security. "" for plain TCP with
  // the system's socket options.
  std::string identity;
  bool tls = false;
};

// How a cluster's connections are made. `alpn` is offered when the configuration names none; `socket` may be absent.
UpstreamTransport compile_upstream_transport(Context& context, const core_v3::TransportSocket* socket,
                                             const transport::SocketOptions& options, std::vector<std::string> alpn,
                                             std::string_view path);

}  // namespace weft::config
