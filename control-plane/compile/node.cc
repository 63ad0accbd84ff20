#include "control-plane/compile/node.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control-plane/registry/format.h"
#include "envoy/config/core/v3/base.pb.h"

namespace weft::control::compile {

namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr char kDefaultNamespace[] = "default";
// As gRPC's clients call themselves: "gRPC Go", "gRPC C-core" …
constexpr char kGrpcAgent[] = "gRPC";
constexpr char kWeftAgent[] = "weft-proxy";
constexpr char kLoopback[] = "127.0.0.1";
constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxZoneBytes = 63;
constexpr size_t kMaxTargetBytes = 1024;
constexpr size_t kMaxShownBytes = 64;
constexpr int kMaxScopeHosts = 1000;
constexpr double kMaxPort = 65'535;
constexpr size_t kMaxTcpPorts = 256;
constexpr double kMinIntervalMs = 100;
constexpr double kMaxIntervalMs = 600'000;

std::string shown(std::string_view text) {
  const bool is_cut = text.size() > kMaxShownBytes;
  return absl::StrCat("\"", absl::CHexEscape(std::string(text.substr(0, kMaxShownBytes))), is_cut ? "…" : "", "\"");
}

std::string shown(const Value& value) {
  switch (value.kind_case()) {
    case Value::kStringValue:
      return shown(value.string_value());
    case Value::kNumberValue:
      return absl::StrCat(value.number_value());
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kStructValue:
      return "a struct";
    case Value::kListValue:
      return "a list";
    default:
      return "null";
  }
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// Reads the fields of a struct and keeps the first mistake.
class Reader {
 public:
  Reader(std::string node, std::string path, const Struct& fields)
      : node_(std::move(node)), path_(std::move(path)), fields_(fields) {}

  const Value* find(const char* field) const {
    const auto found = fields_.fields().find(field);
    return found == fields_.fields().end() ? nullptr : &found->second;
  }

  // Empty if there is none.
  std::string name(const char* field) {
    const Value* value = find(field);
    if (value == nullptr) return "";
    const std::string& text = value->string_value();
    const bool is_name = value->has_string_value() && (text.empty() || registry::is_dns_label(text));
    if (!is_name) fail(field, *value, "a name of at most 63 lower-case letters, digits and '-'");
    return text;
  }

  // Empty if there is none. Kubernetes' service accounts and workloads may have dots.
  std::string dotted_name(const char* field, std::string_view of_what) {
    const Value* value = find(field);
    if (value == nullptr) return "";
    const std::string& text = value->string_value();
    const bool is_name = value->has_string_value() && (text.empty() || registry::is_dns_name(text));
    if (!is_name) {
      fail(field, *value,
           absl::StrCat("the name of a ", std::string(of_what), ": lower-case letters, digits, '-' and '.'"));
    }
    return text;
  }

  std::string address(const char* field) {
    const Value* value = find(field);
    if (value == nullptr) return "";
    const std::string& text = value->string_value();
    const bool is_unspecified = text == "0.0.0.0" || text == "::";
    if (!registry::is_ip(text) || is_unspecified) {
      fail(field, *value, "the IP address at which others reach this workload");
    }
    return text;
  }

  // False if there is none.
  bool flag(const char* field) {
    const Value* value = find(field);
    if (value == nullptr) return false;
    if (!value->has_bool_value()) fail(field, *value, "true or false");
    return value->bool_value();
  }

  // 0 if there is none.
  uint16_t port(const char* field, double least) {
    return static_cast<uint16_t>(whole(field, 0, least, kMaxPort, absl::StrCat("a port from ", least, " to 65535")));
  }

  int64_t whole(const char* field, int64_t otherwise, double least, double most, const std::string& expected) {
    const Value* value = find(field);
    if (value == nullptr) return otherwise;
    const double number = value->number_value();
    if (value->has_number_value() && number >= least && number <= most && number == std::floor(number)) {
      return static_cast<int64_t>(number);
    }
    fail(field, *value, expected);
    return otherwise;
  }

  void fail(const char* field, const Value& value, std::string_view expected) {
    fail(field, absl::StrCat(shown(value), "; expected ", std::string(expected)));
  }
  void fail(const char* field, std::string_view what) {
    if (!status_.ok()) return;
    status_ =
        absl::InvalidArgumentError(absl::StrCat("node ", node_, ": ", path_, ".", field, ": ", std::string(what)));
  }

  // Of another struct.
  void fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }
  const std::string& node() const { return node_; }
  const absl::Status& status() const { return status_; }

 private:
  const std::string node_;
  const std::string path_;
  const Struct& fields_;
  absl::Status status_;
};

std::map<uint16_t, TcpTarget> read_outbound_tcp(Reader& node) {
  std::map<uint16_t, TcpTarget> out;
  const Value* value = node.find("outbound_tcp");
  if (value == nullptr) return out;
  if (!value->has_struct_value()) {
    node.fail("outbound_tcp", *value, "a struct of ports on loopback, each with host:port of a service");
    return out;
  }
  Reader ports(node.node(), "metadata.outbound_tcp", value->struct_value());
  for (const auto& [port, target] : value->struct_value().fields()) {
    int number = 0;
    const bool is_port = absl::SimpleAtoi(port, &number) && number >= 1 && number <= kMaxPort;
    const std::string& text = target.string_value();
    const size_t colon = text.rfind(':');
    int target_port = 0;
    const bool is_target = colon != std::string::npos && registry::is_dns_name(text.substr(0, colon)) &&
                           absl::SimpleAtoi(text.substr(colon + 1), &target_port) && target_port >= 1 &&
                           target_port <= kMaxPort;
    if (!is_port) ports.fail(shown(port).c_str(), target, "at a port from 1 to 65535");
    if (!is_target) ports.fail(shown(port).c_str(), target, "host:port of a service, as \"db.shop:5432\"");
    if (is_port && is_target) {
      out[static_cast<uint16_t>(number)] = {text.substr(0, colon), static_cast<uint16_t>(target_port)};
    }
  }
  if (out.size() > kMaxTcpPorts) {
    ports.fail("size", absl::StrCat(out.size(), " ports; expected at most ", kMaxTcpPorts));
  }
  node.fail(ports.status());
  return out;
}

HealthProbe read_health(Reader& node) {
  HealthProbe probe;
  const Value* value = node.find("health");
  if (value == nullptr) return probe;
  if (!value->has_struct_value()) {
    node.fail("health", *value, "a struct with one of http, tcp and grpc");
    return probe;
  }
  Reader health(node.node(), "metadata.health", value->struct_value());
  int kinds = 0;
  const auto text = [&](const char* field, HealthProbe::Kind kind, auto is_valid, const char* expected) {
    const Value* target = health.find(field);
    if (target == nullptr) return;
    ++kinds;
    probe.kind = kind;
    probe.target = target->string_value();
    const bool is_short = probe.target.size() <= kMaxTargetBytes && is_printable(probe.target);
    if (!target->has_string_value() || !is_short || !is_valid(probe.target)) health.fail(field, *target, expected);
  };
  text(
      "http", HealthProbe::Kind::kHttp, [](const std::string& path) { return path.starts_with('/'); },
      "a path such as /healthz");
  text(
      "grpc", HealthProbe::Kind::kGrpc, [](const std::string&) { return true; },
      "the name of a gRPC service, or an empty string");
  if (const Value* tcp = health.find("tcp"); tcp != nullptr) {
    ++kinds;
    probe.kind = HealthProbe::Kind::kTcp;
    if (!tcp->bool_value()) health.fail("tcp", *tcp, "true");
  }
  probe.interval_ms =
      health.whole("interval_ms", probe.interval_ms, kMinIntervalMs, kMaxIntervalMs, "milliseconds from 100 to 600000");
  node.fail(health.status());
  if (kinds != 1) node.fail("health", absl::StrCat("has ", kinds, " of http, tcp and grpc; expected one"));
  return probe;
}

// What `interception` says of both sides. Without it nothing is intercepted.
struct Interception {
  uint16_t outbound_port = 0;
  uint16_t inbound_port = 0;
  bool transparent = false;
  bool ipv6 = true;
};

bool read_bool(Reader& fields, const char* field, bool otherwise) {
  const Value* value = fields.find(field);
  if (value == nullptr) return otherwise;
  if (!value->has_bool_value()) fields.fail(field, *value, "true or false");
  return value->bool_value();
}

std::optional<Interception> read_interception(Reader& node) {
  const Value* value = node.find("interception");
  if (value == nullptr) return std::nullopt;
  if (!value->has_struct_value()) {
    node.fail("interception", *value, "a struct with outbound_port and inbound_port");
    return std::nullopt;
  }
  Reader fields(node.node(), "metadata.interception", value->struct_value());
  Interception out;
  out.outbound_port = fields.port("outbound_port", 1);
  out.inbound_port = fields.port("inbound_port", 1);
  for (const char* field : {"outbound_port", "inbound_port"}) {
    if (fields.find(field) == nullptr) fields.fail(field, "is missing; expected the port to which the rules lead");
  }
  if (out.outbound_port != 0 && out.outbound_port == out.inbound_port) {
    fields.fail("inbound_port", absl::StrCat(out.inbound_port, " is outbound_port, too; expected another port"));
  }
  out.ipv6 = read_bool(fields, "ipv6", true);
  if (const Value* mode = fields.find("mode"); mode != nullptr) {
    out.transparent = mode->string_value() == "TPROXY";
    if (!out.transparent && mode->string_value() != "REDIRECT") fields.fail("mode", *mode, "REDIRECT or TPROXY");
  }
  node.fail(fields.status());
  return out;
}

// The side of those who call, where rules take whatever is sent to the workload: its proxy has it even if it is
// nobody's endpoint.
Inbound read_intercepted(Reader& node, const Interception& interception, const Audience& audience,
                         const std::string& service) {
  Inbound inbound;
  inbound.service = {.namespace_name = audience.namespace_name, .name = service};
  inbound.is_weft = audience.is_weft;
  inbound.intercepted = true;
  inbound.port = interception.inbound_port;
  inbound.transparent = interception.transparent;
  inbound.ipv6 = interception.ipv6;
  inbound.address = node.address("inbound_address");
  inbound.app_port = node.port("app_port", 1);
  inbound.health = read_health(node);
  if (const Value* port = node.find("inbound_port"); port != nullptr) {
    node.fail("inbound_port", *port, "none beside interception, whose own inbound_port it is");
  }
  if (inbound.app_port == 0) {
    if (node.find("health") != nullptr) {
      node.fail("health", "is of no use without app_port, the application's own port");
    }
    return inbound;
  }
  if (service.empty())
    node.fail("service", "is missing; expected the service to which the application on app_port belongs");
  if (inbound.address.empty()) node.fail("inbound_address", "is missing; expected the workload's own IP address");
  for (const uint16_t own : {interception.inbound_port, interception.outbound_port}) {
    if (inbound.app_port == own) {
      node.fail("app_port", absl::StrCat(own, " is the proxy's, by interception; expected the application's own"));
    }
  }
  return inbound;
}

std::optional<Inbound> read_inbound(Reader& node, const Audience& audience, const std::string& service) {
  Inbound inbound;
  inbound.service = {.namespace_name = audience.namespace_name, .name = service};
  inbound.is_weft = audience.is_weft;
  inbound.address = node.address("inbound_address");
  inbound.port = node.port("inbound_port", 1);
  inbound.app_port = node.port("app_port", 1);
  inbound.health = read_health(node);
  if (inbound.app_port == 0) {
    for (const char* field : {"inbound_address", "inbound_port", "health"}) {
      if (node.find(field) != nullptr) node.fail(field, "is of no use without app_port, the application's own port");
    }
    return std::nullopt;
  }
  if (service.empty())
    node.fail("service", "is missing; expected the service to which the application on app_port belongs");
  if (inbound.address.empty())
    node.fail("inbound_address", "is missing; expected the IP address at which others reach this workload");
  if (inbound.port == 0) node.fail("inbound_port", "is missing; expected the port at which others reach this workload");
  const bool on_loopback = inbound.address == kLoopback;
  if (on_loopback && inbound.port == inbound.app_port) {
    node.fail("inbound_port",
              absl::StrCat(inbound.port, " on ", kLoopback, " is the application's own; expected another port"));
  }
  if (on_loopback && audience.outbound_tcp.contains(inbound.port)) {
    node.fail("inbound_port",
              absl::StrCat(inbound.port, " on ", kLoopback, " is one of outbound_tcp, too; expected another port"));
  }
  if (on_loopback && inbound.port == audience.outbound_port) {
    node.fail("inbound_port",
              absl::StrCat(inbound.port, " on ", kLoopback, " is outbound_port, too; expected another port"));
  }
  return inbound;
}

std::string read_access_log(Reader& node, bool of_use) {
  const Value* value = node.find("access_log");
  if (value == nullptr) return "";
  const std::string& path = value->string_value();
  if (!path.starts_with('/') || path.size() > kMaxTargetBytes || !is_printable(path)) {
    node.fail("access_log", *value,
              absl::StrCat("a file's path from the root on, of at most ", kMaxTargetBytes, " bytes"));
  }
  if (!of_use) node.fail("access_log", "is of no use without app_port, the application's own port");
  return path;
}

std::optional<std::vector<registry::HostPattern>> read_scope(Reader& node, const std::string& namespace_name) {
  const Value* value = node.find("scope");
  if (value == nullptr) return std::nullopt;
  std::vector<registry::HostPattern> hosts;
  if (!value->has_list_value()) node.fail("scope", *value, "a list of \"service\" or \"namespace/service\"");
  if (value->list_value().values_size() > kMaxScopeHosts) {
    node.fail("scope", absl::StrCat("has ", value->list_value().values_size(), " entries; expected at most ",
                                    kMaxScopeHosts, "; \"namespace/*\" is a whole namespace"));
    return hosts;
  }
  for (const Value& each : value->list_value().values()) {
    auto host = registry::parse_host_pattern(each.string_value(), namespace_name);
    if (!host.has_value()) {
      node.fail("scope", each, "\"service\" or \"namespace/service\", either part \"*\" for any");
      return hosts;
    }
    hosts.push_back(*std::move(host));
  }
  registry::sort_patterns(hosts);
  return hosts;
}

}  // namespace

absl::StatusOr<NodeClaims> read_node(const envoy::config::core::v3::Node& node) {
  if (node.id().size() > kMaxIdBytes || !is_printable(node.id())) {
    return absl::InvalidArgumentError(
        absl::StrCat("node.id: ", shown(node.id()), "; expected at most ", kMaxIdBytes, " printable bytes"));
  }
  NodeClaims claims;
  claims.id = node.id();
  claims.audience.is_grpc_client = node.user_agent_name().starts_with(kGrpcAgent);
  claims.audience.is_weft = node.user_agent_name() == kWeftAgent;
  claims.audience.zone = node.locality().zone();
  if (claims.audience.zone.size() > kMaxZoneBytes || !is_printable(claims.audience.zone)) {
    return absl::InvalidArgumentError(absl::StrCat("node.locality.zone: ", shown(claims.audience.zone),
                                                   "; expected at most ", kMaxZoneBytes, " printable bytes"));
  }
  Reader reader(shown(node.id()), "metadata", node.metadata());
  claims.audience.namespace_name = reader.name("namespace");
  if (claims.audience.namespace_name.empty()) claims.audience.namespace_name = kDefaultNamespace;
  claims.service = reader.name("service");
  claims.service_account = reader.dotted_name("service_account", "service account");
  if (claims.service_account.empty()) claims.service_account = claims.service;
  claims.workload = reader.dotted_name("workload", "workload");
  if (claims.workload.empty()) claims.workload = claims.service;
  if (!claims.audience.is_grpc_client) {
    claims.audience.outbound_port = reader.port("outbound_port", 0);
    claims.audience.outbound_tcp = read_outbound_tcp(reader);
    const uint16_t outbound_port = claims.audience.outbound_port;
    if (outbound_port != 0 && claims.audience.outbound_tcp.contains(outbound_port)) {
      reader.fail("outbound_tcp", absl::StrCat("has ", outbound_port, ", which is outbound_port; expected another"));
    }
    claims.mtls = reader.flag("mtls");
    claims.audience.resolves_names = reader.flag("dns");
    if (const auto interception = read_interception(reader)) {
      claims.audience.capture = {interception->outbound_port, interception->ipv6};
      claims.inbound = read_intercepted(reader, *interception, claims.audience, claims.service);
      if (outbound_port == interception->outbound_port || outbound_port == interception->inbound_port) {
        reader.fail("outbound_port",
                    absl::StrCat(outbound_port, " is one of interception's, too; expected another port, or 0"));
      }
    } else {
      if (claims.audience.resolves_names) {
        reader.fail("dns", "is of no use without interception, which takes what is sent to virtual addresses");
      }
      claims.inbound = read_inbound(reader, claims.audience, claims.service);
    }
    const bool has_application = claims.inbound.has_value() && claims.inbound->app_port != 0;
    const std::string access_log = read_access_log(reader, has_application);
    if (claims.inbound.has_value()) {
      claims.inbound->mtls = claims.mtls;
      claims.inbound->access_log = access_log;
    }
    claims.scope = read_scope(reader, claims.audience.namespace_name);
    if (claims.inbound.has_value() && claims.inbound->app_port != 0 && claims.id.empty()) {
      return absl::InvalidArgumentError(
          "node.id: is missing; a workload that others call needs one, as its pod's name");
    }
  }
  if (!reader.status().ok()) return reader.status();
  return claims;
}

}  // namespace weft::control::compile
