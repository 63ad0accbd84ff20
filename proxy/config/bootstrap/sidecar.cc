#include "proxy/config/bootstrap/sidecar.h"

#include <charconv>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"
#include "api/text/print.h"
#include "api/token/join_token.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"
#include "proxy/transport/byte_stream.h"

namespace weft::config {
namespace {

namespace bootstrap_v3 = envoy::config::bootstrap::v3;
namespace cluster_v3 = envoy::config::cluster::v3;
namespace core_v3 = envoy::config::core::v3;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using google::protobuf::Value;
using text::cat;

constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr int64_t kConnectTimeoutS = 2;
// A control plane that vanished without a word is missed after so long.
constexpr int64_t kPingIntervalS = 15;
constexpr int64_t kPingTimeoutS = 5;

Value text_value(std::string text) {
  Value value;
  value.set_string_value(std::move(text));
  return value;
}

Value number_value(double number) {
  Value value;
  value.set_number_value(number);
  return value;
}

Value health_value(const HealthProbe& probe) {
  Value value;
  auto& fields = *value.mutable_struct_value()->mutable_fields();
  switch (probe.kind) {
    case HealthProbe::Kind::kNone:
      break;
    case HealthProbe::Kind::kHttp:
      fields["http"] = text_value(probe.target);
      break;
    case HealthProbe::Kind::kTcp:
      fields["tcp"].set_bool_value(true);
      break;
    case HealthProbe::Kind::kGrpc:
      fields["grpc"] = text_value(probe.target);
      break;
  }
  fields["interval_ms"] = number_value(static_cast<double>(probe.interval_ms));
  return value;
}

Value interception_value(const SidecarOptions& options) {
  Value value;
  auto& fields = *value.mutable_struct_value()->mutable_fields();
  fields["outbound_port"] = number_value(options.outbound_port);
  fields["inbound_port"] = number_value(options.inbound_port);
  if (options.interception.tproxy) fields["mode"] = text_value("TPROXY");
  if (!options.interception.ipv6) fields["ipv6"].set_bool_value(false);
  return value;
}

void set_node(const SidecarOptions& options, core_v3::Node& node) {
  node.set_id(options.node_id);
  node.set_cluster(cat(options.namespace_name, "/", options.service.empty() ? "-" : options.service));
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"] = text_value(options.namespace_name);
  if (!options.service.empty()) fields["service"] = text_value(options.service);
  if (!options.workload.empty()) fields["workload"] = text_value(options.workload);
  if (!options.service_account.empty()) fields["service_account"] = text_value(options.service_account);
  // It gets a certificate, and speaks the mesh's TLS.
  if (has_identity(options)) fields["mtls"].set_bool_value(true);
  const bool intercepts = options.interception.on;
  if (intercepts) fields["interception"] = interception_value(options);
  if (options.interception.dns) fields["dns"].set_bool_value(true);
  if (options.outbound_port != 0 && !intercepts) fields["outbound_port"] = number_value(options.outbound_port);
  if (options.app_port != 0) {
    fields["app_port"] = number_value(options.app_port);
    fields["inbound_address"] = text_value(options.inbound_address);
    if (!intercepts) fields["inbound_port"] = number_value(options.inbound_port);
    if (options.health.kind != HealthProbe::Kind::kNone) fields["health"] = health_value(options.health);
    if (!options.access_log.empty()) fields["access_log"] = text_value(options.access_log);
  }
  if (!options.scope.empty()) {
    auto* list = fields["scope"].mutable_list_value();
    for (const std::string& each : options.scope) *list->add_values() = text_value(each);
  }
}

void set_address(const HostPort& from, core_v3::Address& to) {
  to.mutable_socket_address()->set_address(from.host);
  to.mutable_socket_address()->set_port_value(from.port);
}

void set_tls(const ControlAccess& access, const std::string& host, bool is_ip, cluster_v3::Cluster& cluster) {
  tls_v3::UpstreamTlsContext tls;
  auto& common = *tls.mutable_common_tls_context();
  common.add_alpn_protocols("h2");
  common.mutable_tls_params()->set_tls_minimum_protocol_version(tls_v3::TlsParameters::TLSv1_2);
  if (!is_ip) tls.set_sni(host);
  auto& validation = *common.mutable_validation_context();
  if (access.ca_file.empty()) {
    absl::StatusOr<token::JoinToken> token = token::parse(access.token);
    if (token.ok()) {
      validation.add_verify_certificate_hash(absl::BytesToHexString(
          {reinterpret_cast<const char*>(token->fingerprint.data()), token->fingerprint.size()}));
    }
  } else {
    validation.mutable_trusted_ca()->set_filename(access.ca_file);
    auto* name = validation.add_match_typed_subject_alt_names();
    name->set_san_type(is_ip ? tls_v3::SubjectAltNameMatcher::IP_ADDRESS : tls_v3::SubjectAltNameMatcher::DNS);
    name->mutable_matcher()->set_exact(host);
  }
  cluster.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
  cluster.mutable_transport_socket()->mutable_typed_config()->PackFrom(tls);
}

void set_control_plane(const std::string& name, const HostPort& at, const ControlAccess& access,
                       cluster_v3::Cluster& cluster) {
  cluster.set_name(name);
  bool is_ip = transport::Address::parse_ip(at.host, at.port).family != transport::Address::Family::kNone;
  cluster.set_type(is_ip ? cluster_v3::Cluster::STATIC : cluster_v3::Cluster::STRICT_DNS);
  cluster.mutable_connect_timeout()->set_seconds(kConnectTimeoutS);
  auto* assignment = cluster.mutable_load_assignment();
  assignment->set_cluster_name(name);
  set_address(at, *assignment->add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address());
  HttpProtocolOptions http;
  auto* keepalive =
      http.mutable_explicit_http_config()->mutable_http2_protocol_options()->mutable_connection_keepalive();
  keepalive->mutable_interval()->set_seconds(kPingIntervalS);
  keepalive->mutable_timeout()->set_seconds(kPingTimeoutS);
  (*cluster.mutable_typed_extension_protocol_options())[kHttpOptions].PackFrom(http);
  if (!access.insecure) set_tls(access, at.host, is_ip, cluster);
}

// A control plane that starts anew gives those whom it knows some time to come back (10 s, if nobody says otherwise),
// and takes who has not for gone.
void set_backoff(core_v3::BackoffStrategy& strategy) {
  strategy.mutable_base_interval()->set_nanos(500'000'000);
  strategy.mutable_max_interval()->set_seconds(4);
}

}  // namespace

bool parse_host_port(const std::string& text, HostPort* result) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  std::string host = text.substr(0, colon);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets it could not be told where an IPv6 address ends.
  if (host.empty() || bracketed != (host.find(':') != std::string::npos)) return false;
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || at != end) return false;
  *result = {std::move(host), port};
  return true;
}

bool has_identity(const SidecarOptions& options) {
  return !options.access.insecure && !(options.service.empty() && options.service_account.empty());
}

std::string sidecar_bootstrap(const SidecarOptions& options, bool for_people) {
  bootstrap_v3::Bootstrap bootstrap;
  set_node(options, *bootstrap.mutable_node());
  set_address(options.admin, *bootstrap.mutable_admin()->mutable_address());
  auto& dynamic = *bootstrap.mutable_dynamic_resources();
  auto& ads = *dynamic.mutable_ads_config();
  ads.set_api_type(core_v3::ApiConfigSource::DELTA_GRPC);
  ads.set_transport_api_version(core_v3::V3);
  for (core_v3::ConfigSource* source : {dynamic.mutable_cds_config(), dynamic.mutable_lds_config()}) {
    source->mutable_ads();
    source->set_resource_api_version(core_v3::V3);
  }
  for (size_t i = 0; i < options.control_planes.size(); ++i) {
    std::string name = i == 0 ? "weft-control" : cat("weft-control-", i + 1);
    set_control_plane(name, options.control_planes[i], options.access,
                      *bootstrap.mutable_static_resources()->add_clusters());
    auto* service = ads.add_grpc_services();
    service->mutable_envoy_grpc()->set_cluster_name(name);
    set_backoff(*service->mutable_envoy_grpc()->mutable_retry_policy()->mutable_retry_back_off());
    if (options.access.insecure) continue;
    auto* header = service->add_initial_metadata();
    header->set_key("authorization");
    header->set_value(cat("Bearer ", options.access.token));
  }
  text::PrintOptions print;
  print.redact_secrets = for_people;
  return text::print_yaml(bootstrap, print);
}

}  // namespace weft::config
