#include "control-plane/compile/request_authentication.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/duration.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/registry/format.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "weft/v1/request_authentication.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;
using envoy::extensions::filters::http::jwt_authn::v3::JwtProvider;
using envoy::extensions::filters::http::jwt_authn::v3::JwtRequirement;
using registry::WebAddress;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

// Claims that are a list, written as words (RFC 8693, 4.2).
constexpr const char* kWordClaims[] = {"scope", "permission"};
constexpr std::string_view kDefaultTimeout = "5s";
constexpr int64_t kKeepKeysS = 300;
constexpr int64_t kConnectTimeoutS = 5;
// Envoy knows no roots of the system; this is where distributions have them.
constexpr char kSystemRoots[] = "/etc/ssl/certs/ca-certificates.crt";

std::string key_cluster_name(const WebAddress& address) {
  if (const auto service = mesh_service(address); service.has_value()) return port_name(*service, address.port);
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  return absl::StrCat("jwks/", address.is_https ? "https://" : "http://", is_ipv6 ? "[" : "", address.host,
                      is_ipv6 ? "]:" : ":", address.port);
}

// Valid rules have one, if they have no keys of their own.
std::optional<WebAddress> address_of(const v1::JwtRule& rule) {
  return rule.jwks_uri().empty() ? std::nullopt : registry::parse_web_address(rule.jwks_uri());
}

template <typename F>
void for_each_rule(const registry::RequestAuthentications& tokens, F f) {
  for (const auto& each : tokens) {
    for (int i = 0; i < each->spec->jwt_rules_size(); ++i) {
      f(route_name(each->origin.key, static_cast<size_t>(i)), each->spec->jwt_rules(i));
    }
  }
}

// ---- The filter

void set_keys(const v1::JwtRule& rule, JwtProvider* out) {
  const std::optional<WebAddress> address = address_of(rule);
  if (!address.has_value()) return out->mutable_local_jwks()->set_inline_string(rule.jwks());
  auto* remote = out->mutable_remote_jwks();
  remote->mutable_http_uri()->set_uri(rule.jwks_uri());
  remote->mutable_http_uri()->set_cluster(key_cluster_name(*address));
  *remote->mutable_http_uri()->mutable_timeout() = duration(rule.timeout().empty() ? kDefaultTimeout : rule.timeout());
  remote->mutable_cache_duration()->set_seconds(kKeepKeysS);
}

JwtProvider compile_provider(const v1::JwtRule& rule) {
  JwtProvider out;
  out.set_issuer(rule.issuer());
  for (const std::string& audience : rule.audiences()) out.add_audiences(audience);
  set_keys(rule, &out);
  for (const auto& place : rule.from_headers()) {
    auto* header = out.add_from_headers();
    header->set_name(place.name());
    header->set_value_prefix(place.prefix());
  }
  for (const std::string& name : rule.from_params()) out.add_from_params(name);
  for (const std::string& name : rule.from_cookies()) out.add_from_cookies(name);
  out.set_forward(rule.forward_original_token());
  out.set_forward_payload_header(rule.output_payload_to_header());
  for (const auto& each : rule.output_claim_to_headers()) {
    auto* claim = out.add_claim_to_headers();
    claim->set_header_name(each.header());
    claim->set_claim_name(each.claim());
  }
  out.set_payload_in_metadata(kTokenPayload);
  for (const char* name : kWordClaims) out.mutable_normalize_payload_in_metadata()->add_space_delimited_claims(name);
  return out;
}

// Where a rule looks for tokens: headers with ":" before their name, parameters with "?", cookies with ";".
std::set<std::string> places_of(const v1::JwtRule& rule) {
  std::set<std::string> out;
  for (const auto& place : rule.from_headers()) out.insert(absl::StrCat(":", absl::AsciiStrToLower(place.name())));
  for (const std::string& name : rule.from_params()) out.insert(absl::StrCat("?", name));
  for (const std::string& name : rule.from_cookies()) out.insert(absl::StrCat(";", name));
  if (out.empty()) out = {":authorization", "?access_token"};
  return out;
}

// Issuers whose tokens stand at the same places: one of them must have made what stands there.
struct Rivals {
  std::set<std::string> places;
  std::vector<std::string> providers;
};

std::vector<Rivals> by_places(const registry::RequestAuthentications& tokens) {
  std::vector<Rivals> out;
  for_each_rule(tokens, [&](const std::string& name, const v1::JwtRule& rule) {
    Rivals merged = {places_of(rule), {}};
    // With whom it shares a place, and who thus share one with one another.
    const auto is_rival = [&](const Rivals& other) {
      return std::any_of(other.places.begin(), other.places.end(),
                         [&](const std::string& place) { return merged.places.contains(place); });
    };
    for (auto each = out.begin(); each != out.end();) {
      if (!is_rival(*each)) {
        ++each;
        continue;
      }
      merged.places.insert(each->places.begin(), each->places.end());
      merged.providers.insert(merged.providers.end(), each->providers.begin(), each->providers.end());
      each = out.erase(each);
    }
    merged.providers.push_back(name);
    out.push_back(std::move(merged));
  });
  return out;
}

// ---- The clusters

void set_tls(const WebAddress& address, bool is_weft, Cluster& cluster) {
  const bool is_name = !registry::is_ip(address.host);
  tls_v3::UpstreamTlsContext tls;
  if (is_name) tls.set_sni(address.host);
  auto* validation = tls.mutable_common_tls_context()->mutable_validation_context();
  if (is_weft) {
    validation->mutable_system_root_certs();
  } else {
    validation->mutable_trusted_ca()->set_filename(kSystemRoots);
  }
  auto* name = validation->add_match_typed_subject_alt_names();
  name->set_san_type(is_name ? tls_v3::SubjectAltNameMatcher::DNS : tls_v3::SubjectAltNameMatcher::IP_ADDRESS);
  name->mutable_matcher()->set_exact(address.host);
  cluster.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
  cluster.mutable_transport_socket()->mutable_typed_config()->PackFrom(tls);
}

snapshot::ResourcePointer compile_cluster(const std::string& name, const WebAddress& address, bool is_weft) {
  Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(registry::is_ip(address.host) ? Cluster::STATIC : Cluster::STRICT_DNS);
  cluster.mutable_connect_timeout()->set_seconds(kConnectTimeoutS);
  auto* assignment = cluster.mutable_load_assignment();
  assignment->set_cluster_name(name);
  auto* socket =
      assignment->add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address()->mutable_socket_address();
  socket->set_address(address.host);
  socket->set_port_value(address.port);
  if (address.is_https) set_tls(address, is_weft, cluster);
  return snapshot::make_resource(snapshot::Type::kCluster, name, cluster);
}

}  // namespace

std::optional<registry::ServiceName> mesh_service(const WebAddress& address) {
  std::string_view host = address.host;
  if (address.is_https) return std::nullopt;
  for (const std::string_view suffix : {".svc.cluster.local", ".svc"}) {
    if (!host.ends_with(suffix)) continue;
    host.remove_suffix(suffix.size());
    const size_t dot = host.find('.');
    if (dot == std::string_view::npos || host.find('.', dot + 1) != std::string_view::npos) return std::nullopt;
    return registry::ServiceName{.namespace_name = std::string(host.substr(dot + 1)),
                                 .name = std::string(host.substr(0, dot))};
  }
  return std::nullopt;
}

void add_request_authentication(
    const registry::RequestAuthentications& tokens,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager* manager) {
  JwtAuthentication config;
  for_each_rule(tokens, [&](const std::string& name, const v1::JwtRule& rule) {
    (*config.mutable_providers())[name] = compile_provider(rule);
  });
  if (config.providers().empty()) return;
  auto* rule = config.add_rules();
  rule->mutable_match()->set_prefix("/");
  const std::vector<Rivals> groups = by_places(tokens);
  for (const Rivals& group : groups) {
    // A good token at one place does not carry a bad one at another past.
    JwtRequirement* requirement = groups.size() == 1
                                      ? rule->mutable_requires_()
                                      : rule->mutable_requires_()->mutable_requires_all()->add_requirements();
    auto* any = requirement->mutable_requires_any();
    for (const std::string& name : group.providers) any->add_requirements()->set_provider_name(name);
    any->add_requirements()->mutable_allow_missing();
  }
  config.set_bypass_cors_preflight(true);
  add_http_filter(kTokenFilter, config, manager);
}

std::vector<snapshot::ResourcePointer> key_clusters(const registry::RequestAuthentications& tokens, bool is_weft) {
  std::map<std::string, snapshot::ResourcePointer> clusters;
  for_each_rule(tokens, [&](const std::string&, const v1::JwtRule& rule) {
    const std::optional<WebAddress> address = address_of(rule);
    if (!address.has_value() || mesh_service(*address).has_value()) return;
    const std::string name = key_cluster_name(*address);
    if (!clusters.contains(name)) clusters.emplace(name, compile_cluster(name, *address, is_weft));
  });
  std::vector<snapshot::ResourcePointer> out;
  for (auto& [name, cluster] : clusters) out.push_back(std::move(cluster));
  return out;
}

}  // namespace weft::control::compile
