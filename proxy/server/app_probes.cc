#include "proxy/server/app_probes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/text/cat.h"
#include "proxy/intercept/rules.h"
#include "proxy/transport/tls_config.h"

namespace weft::server {
namespace {

using cluster::HealthCheckPolicy;
using nlohmann::json;
using text::cat;
using transport::Address;

constexpr char kPrefix[] = "/app-health/";
constexpr int64_t kMostTimeoutS = 3'600;
constexpr int64_t kNeverMs = 86'400'000;
constexpr uint16_t kMaxPort = 65535;

// Reads the fields of one object of the probe at `path`; the first mistake stays.
class Fields {
 public:
  Fields(std::string where, const json& object, absl::Status& status)
      : where_(std::move(where)), object_(object), status_(status) {
    if (!object.is_object()) fail("", "an object");
  }

  const json* find(const char* name) {
    seen_.push_back(name);
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  std::string text(const char* name, std::string fallback) {
    const json* value = find(name);
    if (value == nullptr) return fallback;
    if (value->is_string()) return value->get<std::string>();
    fail(name, "a string");
    return {};
  }
  int64_t number(const char* name, int64_t fallback, int64_t least, int64_t most) {
    const json* value = find(name);
    if (value == nullptr && fallback != 0) return fallback;
    int64_t number = value != nullptr && value->is_number_integer() ? value->get<int64_t>() : -1;
    if (number < least || number > most) fail(name, cat("a number from ", least, " to ", most));
    return number;
  }
  void fail(const char* name, std::string_view expected) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(cat(where_, *name == '\0' ? "" : ".", name, ": expected ", expected));
  }
  // After the last one that is known.
  void refuse_others() {
    if (!object_.is_object()) return;
    for (auto item = object_.begin(); item != object_.end(); ++item) {
      if (std::find(seen_.begin(), seen_.end(), item.key()) == seen_.end()) {
        fail(item.key().c_str(), "no such field");
      }
    }
  }
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  const json& object_;
  absl::Status& status_;
  std::vector<std::string> seen_;
};

void read_headers(Fields& get, AppProbe& probe, absl::Status& status) {
  const json* headers = get.find("httpHeaders");
  if (headers == nullptr) return;
  if (!headers->is_array()) return get.fail("httpHeaders", "a list");
  for (const json& each : *headers) {
    Fields header(get.where() + ".httpHeaders", each, status);
    std::string name = header.text("name", ""), value = header.text("value", "");
    header.refuse_others();
    auto breaks = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
    bool sound = !name.empty() && std::none_of(name.begin(), name.end(), [breaks](char c) {
      return breaks(c) || c == ' ' || c == ':';
    }) && std::none_of(value.begin(), value.end(), breaks);
    if (!sound) return header.fail("name", "a header's name and value, without line ends");
    if (name == "Host" || name == "host") {
      probe.policy.host = value;
    } else {
      probe.policy.request_headers.emplace_back(std::move(name), std::move(value));
    }
  }
}

void read_http(const std::string& where, const json& object, const Address& own, AppProbe& probe,
               absl::Status& status) {
  Fields get(where, object, status);
  probe.policy.kind = HealthCheckPolicy::Kind::kHttp;
  probe.policy.expected_statuses = {{200, 400}};
  probe.policy.path = get.text("path", "/");
  if (!probe.policy.path.starts_with('/')) probe.policy.path.insert(0, "/");
  std::string scheme = get.text("scheme", "HTTP");
  probe.tls = scheme == "HTTPS";
  if (scheme != "HTTP" && scheme != "HTTPS") get.fail("scheme", "HTTP or HTTPS");
  auto port = static_cast<uint16_t>(get.number("port", 0, 1, kMaxPort));
  std::string host = get.text("host", "");
  probe.address = host.empty() ? own : Address::parse_ip(host, 0);
  if (probe.address.family == Address::Family::kNone) get.fail("host", "an IP address");
  probe.address.port = port;
  probe.policy.host = probe.address.to_string();
  read_headers(get, probe, status);
  get.refuse_others();
}

void read_tcp(const std::string& where, const json& object, const Address& own, AppProbe& probe, absl::Status& status) {
  Fields get(where, object, status);
  probe.policy.kind = HealthCheckPolicy::Kind::kTcp;
  auto port = static_cast<uint16_t>(get.number("port", 0, 1, kMaxPort));
  std::string host = get.text("host", "");
  probe.address = host.empty() ? own : Address::parse_ip(host, 0);
  if (probe.address.family == Address::Family::kNone) get.fail("host", "an IP address");
  probe.address.port = port;
  get.refuse_others();
}

void read_grpc(const std::string& where, const json& object, const Address& own, AppProbe& probe,
               absl::Status& status) {
  Fields get(where, object, status);
  probe.policy.kind = HealthCheckPolicy::Kind::kGrpc;
  probe.address = own;
  probe.address.port = static_cast<uint16_t>(get.number("port", 0, 1, kMaxPort));
  probe.policy.host = probe.address.to_string();
  probe.policy.grpc_service_name = get.text("service", "");
  get.refuse_others();
}

AppProbe read_probe(const std::string& path, const json& object, const Address& own, absl::Status& status) {
  AppProbe probe;
  Fields get(cat("WEFT_APP_PROBES: ", path), object, status);
  if (!path.starts_with(kPrefix)) get.fail("", cat("a path below ", kPrefix));
  probe.policy.timeout_ms = get.number("timeoutSeconds", 1, 1, kMostTimeoutS) * 1000;
  probe.policy.interval_ms = probe.policy.no_traffic_interval_ms = kNeverMs;
  probe.policy.reuse_connection = false;
  using Read = void (*)(const std::string&, const json&, const Address&, AppProbe&, absl::Status&);
  constexpr std::pair<const char*, Read> kKinds[] = {
      {"httpGet", read_http}, {"tcpSocket", read_tcp}, {"grpc", read_grpc}};
  size_t kinds = 0;
  for (const auto& [name, read] : kKinds) {
    const json* kind = get.find(name);
    if (kind == nullptr) continue;
    ++kinds;
    read(cat(get.where(), ".", name), *kind, own, probe, status);
  }
  if (kinds != 1) get.fail("", "one of httpGet, tcpSocket and grpc");
  get.refuse_others();
  return probe;
}

}  // namespace

absl::StatusOr<std::map<std::string, AppProbe>> parse_app_probes(const std::string& text, const Address& own) {
  std::map<std::string, AppProbe> result;
  json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return absl::InvalidArgumentError("WEFT_APP_PROBES: expected a JSON object of probes by path");
  absl::Status status;
  for (auto item = root.begin(); item != root.end(); ++item) {
    result[item.key()] = read_probe(item.key(), item.value(), own, status);
    if (!status.ok()) return status;
  }
  return result;
}

AppProbes::AppProbes(event::LibeventLoop& loop, base::Random& random, std::map<std::string, AppProbe> probes,
                     bool own_source)
    : loop_(loop), random_(random), probes_(std::move(probes)), own_source_(own_source) {}

AppProbes::~AppProbes() = default;

void AppProbes::check(const std::string& path, AdminReply reply) {
  auto found = probes_.find(path);
  if (found == probes_.end()) {
    return reply({404, "text/plain; charset=UTF-8", cat("the application has no probe ", path, "\n")});
  }
  const AppProbe& probe = found->second;
  transport::SocketOptions options;
  if (own_source_ && !probe.address.is_loopback()) {
    bool ipv6 = probe.address.family == Address::Family::kIpv6;
    options.source = Address::parse_ip(ipv6 ? intercept::kPassIpv6 : intercept::kPassIpv4, 0);
  }
  cluster::ClusterConfig config;
  config.name = config.stat_name = path;
  config.health_checks = {probe.policy};
  config.tls = probe.tls;
  if (probe.tls) {
    auto connector = transport::make_tls_connector({}, options);
    if (!connector.ok()) return reply({500, "text/plain; charset=UTF-8", std::string(connector.status().message())});
    config.connector = *std::move(connector);
  } else {
    config.connector = transport::make_plain_connector(options);
  }
  Running running{std::make_shared<cluster::Cluster>(std::move(config), 1), nullptr, std::move(reply)};
  running.cluster->set_hosts({{std::make_shared<cluster::Host>(probe.address, "", 1)}});
  auto place = running_.insert(running_.end(), std::move(running));
  place->checker = std::make_unique<cluster::HealthChecker>(
      // In a turn of its own: the checker is still at it.
      loop_, random_, place->cluster, [this, place] { loop_.post([this, place] { conclude(place); }); });
  place->checker->start();
}

void AppProbes::conclude(std::list<Running>::iterator running) {
  const cluster::Host& host = *running->cluster->hosts()->priorities[0][0];
  if (host.available()) {
    running->reply({200, "text/plain; charset=UTF-8", "OK\n"});
  } else {
    running->reply({503, "text/plain; charset=UTF-8",
                    cat("the application at ", host.address_text(), " does not answer ", running->cluster->name(),
                        " well, or not in time\n")});
  }
  running_.erase(running);
}

}  // namespace weft::server
