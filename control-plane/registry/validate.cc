#include "control-plane/registry/validate.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "control-plane/registry/check.h"
#include "control-plane/registry/visibility.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "gateway/v1/reference_grant.pb.h"
#include "gateway/v1/stream_route.pb.h"
#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/discovery/v1/endpoint_slice.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"
#include "weft/v1/external_service.pb.h"
#include "weft/v1/peer_authentication.pb.h"
#include "weft/v1/request_authentication.pb.h"
#include "weft/v1/scope.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::registry {

using source::Kind;
using text::cat;

void Check::one_of(std::string_view value, std::string_view path, std::initializer_list<std::string_view> words) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return;
  std::string expected;
  int count = 0;
  for (const std::string_view word : words) {
    if (!word.empty()) text::append(&expected, count++ == 0 ? "" : ", ", word);
  }
  expect(false, path, cat(count > 1 ? "one of " : "", expected), value);
}

void Check::range(uint64_t value, std::string_view path, uint64_t least, uint64_t most) {
  if (value < least || value > most) fail(path, cat("expected ", least, " to ", most, "; got ", value));
}

void Check::duration(std::string_view value, std::string_view path) {
  expect(parse_duration_ms(value).has_value(), path,
         "a duration: up to four numbers of up to five digits with h, m, s or ms, such as 1h30m or 500ms", value);
}

void Check::app_protocol(std::string_view value, std::string_view path) {
  one_of(value, path,
         {"", "http", "http2", "grpc", "tls", "https", "tcp", "kubernetes.io/h2c", "kubernetes.io/ws",
          "kubernetes.io/wss"});
}

namespace {

void check_metadata(Kind kind, const kubernetes::meta::v1::ObjectMeta& metadata, Check* check) {
  // A namespace and a service are parts of host names, an authorizer of names of metrics.
  const bool label = kind == Kind::kNamespace || kind == Kind::kService || kind == Kind::kExternalService ||
                     kind == Kind::kExternalAuthorizer;
  if (label) {
    check->expect(is_dns_label(metadata.name()), "metadata.name",
                  "a DNS label: at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends", metadata.name());
  } else {
    check->expect(is_dns_name(metadata.name()), "metadata.name", "a DNS name in lower case", metadata.name());
  }
  if (source::kind_info(kind).in_namespace) {
    check->expect(is_dns_label(metadata.namespace_()), "metadata.namespace",
                  "a DNS label: at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends",
                  metadata.namespace_());
  }
}

void check_export(const kubernetes::meta::v1::ObjectMeta& metadata, Check* check) {
  const auto found = metadata.annotations().find(kExportToAnnotation);
  if (found == metadata.annotations().end()) return;
  check->expect(parse_export(found->second, metadata.namespace_()).has_value(),
                text::key_path("metadata.annotations", kExportToAnnotation),
                "names of namespaces between commas, \".\" for its own, \"*\" for all, \"~\" for none", found->second);
}

void check_accounts(const kubernetes::meta::v1::ObjectMeta& metadata, Check* check) {
  const auto found = metadata.annotations().find(kServiceAccountsAnnotation);
  if (found == metadata.annotations().end()) return;
  check->expect(parse_accounts(found->second).has_value(),
                text::key_path("metadata.annotations", kServiceAccountsAnnotation),
                "names of service accounts between commas", found->second);
}

// Names and numbers of a service's ports; `protocol` tells ports of one number apart.
class PortNames {
 public:
  PortNames(int count, Check* check) : named_(count > 1), check_(check) {}

  void add(const std::string& name, uint32_t number, const std::string& protocol, std::string_view path) {
    check_->port(number, at(path, "port"));
    if (!name.empty() || named_) {
      check_->expect(is_dns_label(name), at(path, "name"), "a DNS label, as there are several ports", name);
    }
    if (!names_.insert(name).second) check_->fail(at(path, "name"), cat("another port has the name \"", name, "\""));
    if (!numbers_.emplace(number, protocol).second) {
      check_->fail(at(path, "port"), cat("another port has the number ", number));
    }
  }

 private:
  const bool named_;
  Check* const check_;
  std::set<std::string> names_;
  std::set<std::pair<uint32_t, std::string>> numbers_;
};

void check_service(const kubernetes::core::v1::Service& service, Check* check) {
  check_export(service.metadata(), check);
  check_accounts(service.metadata(), check);
  const auto& spec = service.spec();
  check->one_of(spec.type(), "spec.type", {"", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"});
  check->one_of(spec.session_affinity(), "spec.sessionAffinity", {"", "None"});
  check->one_of(spec.internal_traffic_policy(), "spec.internalTrafficPolicy", {"", "Cluster"});
  const bool by_name = spec.type() == "ExternalName";
  if (by_name) check->dns_name(spec.external_name(), "spec.externalName");
  const bool bare = by_name || spec.cluster_ip() == "None";
  if (spec.ports().empty() && !bare) check->fail("spec.ports", "expected at least one port");
  if (!spec.cluster_ip().empty() && spec.cluster_ip() != "None") {
    check->expect(is_ip(spec.cluster_ip()), "spec.clusterIP", "an IP address or None", spec.cluster_ip());
  }
  for (int i = 0; i < spec.cluster_ips_size(); ++i) {
    const std::string& address = spec.cluster_ips(i);
    check->expect(is_ip(address) || address == "None", at("spec", "clusterIPs", i), "an IP address or None", address);
  }
  PortNames names(spec.ports_size(), check);
  for (int i = 0; i < spec.ports_size(); ++i) {
    const auto& port = spec.ports(i);
    const std::string path = at("spec", "ports", i);
    check->one_of(port.protocol(), at(path, "protocol"), {"", "TCP", "UDP", "SCTP"});
    check->app_protocol(port.app_protocol(), at(path, "appProtocol"));
    names.add(port.name(), port.port(), port.protocol().empty() ? "TCP" : port.protocol(), path);
    using google::protobuf::Value;
    const Value& target = port.target_port();
    const bool number =
        target.kind_case() == Value::kNumberValue && target.number_value() >= 1 && target.number_value() <= 65535;
    const bool name = target.kind_case() == Value::kStringValue && is_dns_label(target.string_value());
    if (port.has_target_port() && !number && !name) {
      check->fail(at(path, "targetPort"), "expected a number from 1 to 65535, or the name of a workload's port");
    }
  }
}

void check_endpoint_slice(const kubernetes::discovery::v1::EndpointSlice& slice, Check* check) {
  const auto label = slice.metadata().labels().find(kServiceNameLabel);
  if (label == slice.metadata().labels().end()) {
    check->fail("metadata.labels", cat("expected the label ", kServiceNameLabel, " with the service's name"));
  } else {
    check->expect(is_dns_label(label->second), text::key_path("metadata.labels", kServiceNameLabel), "a service's name",
                  label->second);
  }
  const auto weight = slice.metadata().annotations().find(kWeightAnnotation);
  if (weight != slice.metadata().annotations().end()) {
    uint32_t number = 0;
    const char* end = weight->second.data() + weight->second.size();
    const auto result = std::from_chars(weight->second.data(), end, number);
    check->expect(result.ec == std::errc() && result.ptr == end && number >= 1 && number <= 1'000'000,
                  text::key_path("metadata.annotations", kWeightAnnotation), "a number from 1 to 1000000",
                  weight->second);
  }
  check->one_of(slice.address_type(), "addressType", {"IPv4", "IPv6", "FQDN"});
  for (int i = 0; i < slice.endpoints_size(); ++i) {
    const std::string path = at("", "endpoints", i);
    if (slice.endpoints(i).addresses().empty()) {
      check->fail(at(path, "addresses"), "expected an address");
      continue;
    }
    const std::string& address = slice.endpoints(i).addresses(0);
    const std::string first = at(path, "addresses", 0);
    if (slice.address_type() == "IPv4") check->expect(is_ipv4(address), first, "an IPv4 address", address);
    if (slice.address_type() == "IPv6") check->expect(is_ipv6(address), first, "an IPv6 address", address);
    if (slice.address_type() == "FQDN") check->dns_name(address, first);
  }
  std::set<std::string> names;
  for (int i = 0; i < slice.ports_size(); ++i) {
    const auto& port = slice.ports(i);
    const std::string path = at("", "ports", i);
    check->one_of(port.protocol(), at(path, "protocol"), {"", "TCP", "UDP", "SCTP"});
    check->port(port.port(), at(path, "port"));
    if (!names.insert(port.name()).second) {
      check->fail(at(path, "name"), cat("another port has the name \"", port.name(), "\""));
    }
  }
}

void check_hosts(const v1::ExternalServiceSpec& spec, Check* check) {
  if (spec.hosts().empty()) check->fail("spec.hosts", "expected at least one host name");
  std::set<std::string> hosts;
  for (int i = 0; i < spec.hosts_size(); ++i) {
    const std::string& host = spec.hosts(i);
    const std::string path = at("spec", "hosts", i);
    check->expect(is_host_pattern(host), path, "a DNS name in lower case, or one with \"*.\" before it", host);
    if (!hosts.insert(host).second) check->fail(path, "the host stands a second time");
    const bool is_looked_up = spec.resolution().empty() || spec.resolution() == "DNS";
    if (is_looked_up && host.starts_with("*.")) {
      check->fail(path, cat("\"", host, "\" cannot be looked up by DNS; expected spec.resolution None, by which a ",
                            "connection goes to where it was made, or Static"));
    }
  }
}

// What is not told apart by a name must be by an address.
void check_without_endpoints(const v1::ExternalServiceSpec& spec, Check* check) {
  if (!spec.endpoints().empty()) check->fail("spec.endpoints", "expected none, as resolution is None");
  for (int i = 0; i < spec.ports_size(); ++i) {
    const auto& port = spec.ports(i);
    const std::string path = at("spec", "ports", i);
    if (port.target_port() != 0) check->fail(at(path, "targetPort"), "expected none, as resolution is None");
    if (protocol_word(port.app_protocol(), port.name()) == "tcp" && spec.addresses().empty()) {
      check->fail(at(path, "appProtocol"),
                  "such connections name no host; expected http, https or the like, or spec.addresses to know them by");
    }
  }
}

void check_external_service(const v1::ExternalService& service, Check* check) {
  check_export(service.metadata(), check);
  const auto& spec = service.spec();
  check_hosts(spec, check);
  check->one_of(spec.resolution(), "spec.resolution", {"", "DNS", "Static", "None"});
  if (spec.resolution() == "None") check_without_endpoints(spec, check);
  if (spec.ports().empty()) check->fail("spec.ports", "expected at least one port");
  PortNames names(spec.ports_size(), check);
  for (int i = 0; i < spec.ports_size(); ++i) {
    const std::string path = at("spec", "ports", i);
    names.add(spec.ports(i).name(), spec.ports(i).port(), "TCP", path);
    check->app_protocol(spec.ports(i).app_protocol(), at(path, "appProtocol"));
    if (spec.ports(i).target_port() != 0) check->port(spec.ports(i).target_port(), at(path, "targetPort"));
  }
  const bool fixed = spec.resolution() == "Static";
  if (fixed && spec.endpoints().empty())
    check->fail("spec.endpoints", "expected at least one, as resolution is Static");
  for (int i = 0; i < spec.endpoints_size(); ++i) {
    const auto& endpoint = spec.endpoints(i);
    const std::string path = at("spec", "endpoints", i);
    const bool right = is_ip(endpoint.address()) || (!fixed && is_dns_name(endpoint.address()));
    check->expect(right, at(path, "address"), fixed ? "an IP address" : "an IP address or a DNS name",
                  endpoint.address());
    if (endpoint.has_weight()) check->range(endpoint.weight(), at(path, "weight"), 1, 1'000'000);
  }
  for (int i = 0; i < spec.addresses_size(); ++i) {
    check->expect(is_ip(spec.addresses(i)), at("spec", "addresses", i), "an IP address", spec.addresses(i));
  }
}

void check_scope(const v1::Scope& scope, Check* check) {
  const auto& spec = scope.spec();
  if (spec.hosts().empty() && !spec.has_outbound_traffic_policy()) {
    check->fail("spec.hosts", "expected at least one host; \"~/*\" is none at all");
  }
  const std::string& mode = spec.outbound_traffic_policy().mode();
  if (spec.has_outbound_traffic_policy()) {
    check->expect(mode == kAllowAny || mode == kRegistryOnly, "spec.outboundTrafficPolicy.mode",
                  "ALLOW_ANY or REGISTRY_ONLY", mode);
  }
  for (int i = 0; i < spec.hosts_size(); ++i) {
    check->expect(parse_host_pattern(spec.hosts(i), scope.metadata().namespace_()).has_value(), at("spec", "hosts", i),
                  "\"service\" or \"namespace/service\", either part \"*\" for any, \".\" for the own namespace, or "
                  "\"~/*\" for none",
                  spec.hosts(i));
  }
  std::set<std::string> services;
  for (int i = 0; i < spec.services_size(); ++i) {
    check->expect(is_dns_label(spec.services(i)), at("spec", "services", i), "a service's name", spec.services(i));
    if (!services.insert(spec.services(i)).second) {
      check->fail(at("spec", "services", i), "the service stands a second time");
    }
  }
  if (!spec.services().empty() && scope.metadata().namespace_() == kRootNamespace) {
    check->fail("spec.services", cat("expected none: a Scope of ", kRootNamespace, " holds for all namespaces"));
  }
}

}  // namespace

std::vector<Mistake> validate(Kind kind, const google::protobuf::Message& content) {
  Check found;
  check_metadata(kind, source::metadata_of(content), &found);
  switch (kind) {
    case Kind::kNamespace:
      break;
    case Kind::kService:
      check_service(static_cast<const kubernetes::core::v1::Service&>(content), &found);
      break;
    case Kind::kEndpointSlice:
      check_endpoint_slice(static_cast<const kubernetes::discovery::v1::EndpointSlice&>(content), &found);
      break;
    case Kind::kExternalService:
      check_external_service(static_cast<const v1::ExternalService&>(content), &found);
      break;
    case Kind::kHttpRoute:
      check(static_cast<const gateway::v1::HTTPRoute&>(content), &found);
      break;
    case Kind::kGrpcRoute:
      check(static_cast<const gateway::v1::GRPCRoute&>(content), &found);
      break;
    case Kind::kTcpRoute:
      check(static_cast<const gateway::v1::TCPRoute&>(content), &found);
      break;
    case Kind::kTlsRoute:
      check(static_cast<const gateway::v1::TLSRoute&>(content), &found);
      break;
    case Kind::kReferenceGrant:
      check(static_cast<const gateway::v1::ReferenceGrant&>(content), &found);
      break;
    case Kind::kTrafficPolicy:
      check(static_cast<const v1::TrafficPolicy&>(content), &found);
      break;
    case Kind::kAuthorizationPolicy:
      check(static_cast<const v1::AuthorizationPolicy&>(content), &found);
      break;
    case Kind::kRequestAuthentication:
      check(static_cast<const v1::RequestAuthentication&>(content), &found);
      break;
    case Kind::kExternalAuthorizer:
      check(static_cast<const v1::ExternalAuthorizer&>(content), &found);
      break;
    case Kind::kScope:
      check_scope(static_cast<const v1::Scope&>(content), &found);
      break;
    case Kind::kPeerAuthentication:
      check(static_cast<const v1::PeerAuthentication&>(content), &found);
      break;
  }
  return found.take();
}

absl::Status validate(const source::Draft& draft) {
  const std::vector<Mistake> mistakes = validate(draft.key.kind, *draft.content);
  if (mistakes.empty()) return absl::OkStatus();
  const text::PositionMap positions = draft.positions();
  std::string text;
  for (const Mistake& mistake : mistakes) {
    text::append(&text, text.empty() ? "" : "\n", positions.locate(mistake.path), ": ", mistake.what);
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace weft::control::registry
