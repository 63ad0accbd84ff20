#include "control-plane/compile/mtls.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint_components.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::core::v3::TransportSocket;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using registry::AppProtocol;
using registry::MtlsMode;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

// The workload's own certificate, and whom it trusts.
constexpr char kOwnSecret[] = "default";
constexpr char kRootSecret[] = "ROOTCA";
constexpr char kMatchField[] = "tlsMode";
constexpr char kMatchValue[] = "weft";
constexpr char kMatchMetadata[] = "envoy.transport_socket_match";
constexpr char kTls[] = "tls";
constexpr char kTlsSocket[] = "envoy.transport_sockets.tls";
// How long a caller may take that says nothing, where the server may be the one to speak first.
constexpr int kDetectionNanos = 200'000'000;

bool is_http2(AppProtocol protocol) { return protocol == AppProtocol::kHttp2 || protocol == AppProtocol::kGrpc; }
bool is_stream(AppProtocol protocol) { return protocol == AppProtocol::kTcp || protocol == AppProtocol::kTls; }

void by_ads(const char* name, tls_v3::SdsSecretConfig& secret) {
  secret.set_name(name);
  secret.mutable_sds_config()->mutable_ads();
  secret.mutable_sds_config()->set_resource_api_version(envoy::config::core::v3::V3);
}

tls_v3::CertificateValidationContext& set_secrets(tls_v3::CommonTlsContext& common) {
  common.mutable_tls_params()->set_tls_minimum_protocol_version(tls_v3::TlsParameters::TLSv1_2);
  by_ads(kOwnSecret, *common.add_tls_certificate_sds_secret_configs());
  auto* validation = common.mutable_combined_validation_context();
  by_ads(kRootSecret, *validation->mutable_validation_context_sds_secret_config());
  return *validation->mutable_default_validation_context();
}

TransportSocket server_socket(const std::string& trust_domain) {
  tls_v3::DownstreamTlsContext tls;
  tls.mutable_require_client_certificate()->set_value(true);
  auto* peer = set_secrets(*tls.mutable_common_tls_context()).add_match_typed_subject_alt_names();
  peer->set_san_type(tls_v3::SubjectAltNameMatcher::URI);
  peer->mutable_matcher()->set_prefix(absl::StrCat("spiffe://", trust_domain, "/"));
  for (const char* protocol : {"h2", "http/1.1"}) tls.mutable_common_tls_context()->add_alpn_protocols(protocol);
  TransportSocket socket;
  socket.set_name(kTlsSocket);
  socket.mutable_typed_config()->PackFrom(tls);
  return socket;
}

// A copy of the chain for those who come by TLS and offer one of these protocols; any if there are none.
FilterChain by_tls(const FilterChain& plain, const char* suffix, const std::vector<const char*>& protocols) {
  FilterChain chain = plain;
  chain.set_name(plain.name().empty() ? suffix : absl::StrCat(plain.name(), "/", suffix));
  auto* match = chain.mutable_filter_chain_match();
  match->clear_application_protocols();
  match->set_transport_protocol(kTls);
  for (const char* protocol : protocols) match->add_application_protocols(protocol);
  return chain;
}

}  // namespace

std::string spiffe_id(const std::string& trust_domain, const std::string& namespace_name, const std::string& account) {
  return absl::StrCat("spiffe://", trust_domain, "/ns/", namespace_name, "/sa/", account);
}

void add_mesh_transport(const registry::Service& service, AppProtocol protocol, const std::string& trust_domain,
                        envoy::config::cluster::v3::Cluster& cluster) {
  if (service.name.external || service.resolution != registry::Resolution::kStatic) return;
  tls_v3::UpstreamTlsContext tls;
  auto& common = *tls.mutable_common_tls_context();
  tls_v3::CertificateValidationContext& validation = set_secrets(common);
  for (const std::string& account : service.service_accounts) {
    auto* peer = validation.add_match_typed_subject_alt_names();
    peer->set_san_type(tls_v3::SubjectAltNameMatcher::URI);
    peer->mutable_matcher()->set_exact(spiffe_id(trust_domain, service.name.namespace_name, account));
  }
  if (is_stream(protocol)) {
    common.add_alpn_protocols(kMeshTcp);
  } else {
    common.add_alpn_protocols(kMeshHttp);
    common.add_alpn_protocols(is_http2(protocol) ? "h2" : "http/1.1");
  }
  auto* mesh = cluster.add_transport_socket_matches();
  mesh->set_name("mesh");
  (*mesh->mutable_match()->mutable_fields())[kMatchField].set_string_value(kMatchValue);
  mesh->mutable_transport_socket()->set_name(kTlsSocket);
  mesh->mutable_transport_socket()->mutable_typed_config()->PackFrom(tls);
  auto* rest = cluster.add_transport_socket_matches();
  rest->set_name("plain");
  rest->mutable_match();
  rest->mutable_transport_socket()->set_name("envoy.transport_sockets.raw_buffer");
  rest->mutable_transport_socket()->mutable_typed_config()->PackFrom(
      envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer());
}

void mark_mesh_endpoint(envoy::config::endpoint::v3::LbEndpoint& endpoint) {
  auto& match = (*endpoint.mutable_metadata()->mutable_filter_metadata())[kMatchMetadata];
  (*match.mutable_fields())[kMatchField].set_string_value(kMatchValue);
}

std::vector<FilterChain> mtls_chains(const InboundMtls& mtls, const std::vector<FilterChain>& plain) {
  const bool is_strict = mtls.mode == MtlsMode::kStrict;
  const TransportSocket socket = server_socket(mtls.trust_domain);
  std::vector<FilterChain> chains;
  const auto add = [&](const FilterChain& chain, const char* suffix, const std::vector<const char*>& protocols) {
    chains.push_back(by_tls(chain, suffix, protocols));
    *chains.back().mutable_transport_socket() = socket;
  };
  if (!is_strict) chains = plain;
  // Where a STRICT port is called by TLS, it is the mesh's, also without its mark.
  using Protocols = std::vector<const char*>;
  if (plain.size() > 1) {
    add(plain.back(), "mtls", {kMeshTcp});
    add(plain.front(), "mtls", is_strict ? Protocols() : Protocols{kMeshHttp});
  } else {
    // Callers who were told of another protocol are still of the mesh.
    add(plain.front(), "mtls", is_strict ? Protocols() : Protocols{kMeshHttp, kMeshTcp});
  }
  // TLS of the application's own.
  if (!is_strict) chains.push_back(by_tls(plain.back(), "tls", {}));
  return chains;
}

void ask_for_mtls(const InboundMtls& mtls, AppProtocol protocol, Listener& listener) {
  std::vector<FilterChain> plain(listener.filter_chains().begin(), listener.filter_chains().end());
  if (listener.has_default_filter_chain()) plain.push_back(listener.default_filter_chain());
  listener.clear_filter_chains();
  listener.clear_default_filter_chain();
  for (FilterChain& chain : mtls_chains(mtls, plain)) *listener.add_filter_chains() = std::move(chain);
  if (mtls.mode == MtlsMode::kStrict) {
    listener.clear_listener_filters();
    listener.clear_listener_filters_timeout();
    listener.clear_continue_on_listener_filters_timeout();
  } else if (is_stream(protocol)) {
    listener.mutable_listener_filters_timeout()->set_nanos(kDetectionNanos);
    listener.set_continue_on_listener_filters_timeout(true);
  }
  auto* inspector = listener.add_listener_filters();
  inspector->set_name("envoy.filters.listener.tls_inspector");
  inspector->mutable_typed_config()->PackFrom(envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector());
  // Before what looks for HTTP.
  auto& filters = *listener.mutable_listener_filters();
  for (int i = filters.size() - 1; i > 0; --i) filters.SwapElements(i, i - 1);
}

void tell_caller(HttpConnectionManager& manager) {
  manager.set_forward_client_cert_details(HttpConnectionManager::SANITIZE_SET);
  auto* details = manager.mutable_set_current_client_cert_details();
  details->mutable_subject()->set_value(true);
  details->set_uri(true);
  details->set_dns(true);
}

}  // namespace weft::control::compile
