#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "envoy/config/core/v3/base.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/common.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/transport/tls_config.h"

// Transport sockets: TLS of filter chains and of clusters.

namespace weft::config {

namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

// nullptr: plain (raw_buffer), or an error was reported.
std::shared_ptr<const transport::ServerTls> compile_server_tls(Context& context, const core_v3::TransportSocket& socket,
                                                               std::string_view path);

// What a cluster's connections are made with. `alpn` is offered where the configuration names none.
struct ClientTransport {
  std::shared_ptr<transport::Connector> connector;
  bool tls = false;
};
ClientTransport compile_client_transport(Context& context, const core_v3::TransportSocket* socket,
                                         std::string_view path, const transport::SocketOptions& options,
                                         const std::vector<std::string>& alpn);
// The same of a control plane, to which the own secret is shown as long as there is one that holds.
ClientTransport compile_control_plane_transport(Context& context, const core_v3::TransportSocket& socket,
                                                std::string_view path, const transport::SocketOptions& options,
                                                const std::vector<std::string>& alpn);

// A certificate with its key, and what is asked of a peer's; not yet looked into.
transport::TlsCertificateConfig compile_certificate(Context& context, const tls_v3::TlsCertificate& certificate,
                                                    std::string_view path);
transport::PeerValidation compile_peer_validation(Context& context,
                                                  const tls_v3::CertificateValidationContext& validation,
                                                  std::string_view path);

}  // namespace weft::config
