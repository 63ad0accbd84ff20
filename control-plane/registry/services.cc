#include "control-plane/registry/services.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>

#include "control-plane/registry/format.h"
#include "control-plane/registry/validate.h"
#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/discovery/v1/endpoint_slice.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/external_service.pb.h"

namespace weft::control::registry {

namespace {

using kubernetes::discovery::v1::EndpointSlice;
using source::Kind;
using source::Object;

constexpr char kClusterDomain[] = "cluster.local";
constexpr char kHeadless[] = "None";

AppProtocol app_protocol_of(std::string_view app_protocol, std::string_view name) {
  const std::string_view word = protocol_word(app_protocol, name);
  if (word == "http" || word == "kubernetes.io/ws") return AppProtocol::kHttp;
  if (word == "http2" || word == "h2c" || word == "kubernetes.io/h2c") return AppProtocol::kHttp2;
  if (word == "grpc") return AppProtocol::kGrpc;
  if (word == "tls" || word == "https" || word == "kubernetes.io/wss") return AppProtocol::kTls;
  if (word == "tcp") return AppProtocol::kTcp;
  return AppProtocol::kDetect;
}

bool is_tcp(std::string_view protocol) { return protocol.empty() || protocol == "TCP"; }

// 0 for a name, which only the workload's own object explains.
uint16_t target_of(const kubernetes::core::v1::ServicePort& port) {
  if (!port.has_target_port() || port.target_port().kind_case() == google::protobuf::Value::KIND_NOT_SET) {
    return static_cast<uint16_t>(port.port());
  }
  return static_cast<uint16_t>(port.target_port().number_value());
}

void fill(const Object& object, const kubernetes::core::v1::ServiceSpec& spec, Service* out) {
  const std::string& name = object.key.name;
  const std::string in_namespace = name + "." + object.key.namespace_name;
  out->hosts = {name, in_namespace, in_namespace + ".svc", in_namespace + ".svc." + kClusterDomain};
  out->headless = spec.cluster_ip() == kHeadless;
  if (is_ip(spec.cluster_ip())) out->addresses.push_back(spec.cluster_ip());
  for (const std::string& address : spec.cluster_ips()) {
    if (is_ip(address) && address != spec.cluster_ip()) out->addresses.push_back(address);
  }
  for (const auto& port : spec.ports()) {
    if (!is_tcp(port.protocol())) continue;
    out->ports.push_back({port.name(), static_cast<uint16_t>(port.port()),
                          app_protocol_of(port.app_protocol(), port.name()), target_of(port)});
  }
  if (spec.type() == "ExternalName") out->resolution = Resolution::kDns;
  out->publish_not_ready = spec.publish_not_ready_addresses();
}

void fill(const v1::ExternalServiceSpec& spec, Service* out) {
  out->hosts.assign(spec.hosts().begin(), spec.hosts().end());
  out->addresses.assign(spec.addresses().begin(), spec.addresses().end());
  for (const auto& port : spec.ports()) {
    const uint32_t target = port.target_port() == 0 ? port.port() : port.target_port();
    out->ports.push_back({port.name(), static_cast<uint16_t>(port.port()),
                          app_protocol_of(port.app_protocol(), port.name()), static_cast<uint16_t>(target)});
  }
  out->resolution = spec.resolution() == "Static" ? Resolution::kStatic
                    : spec.resolution() == "None" ? Resolution::kNone
                                                  : Resolution::kDns;
}

// The number of the slice's port of this name; 0 if it has none.
uint16_t port_of_slice(const EndpointSlice& slice, const std::string& name) {
  for (const auto& port : slice.ports()) {
    if (port.name() == name && is_tcp(port.protocol())) return static_cast<uint16_t>(port.port());
  }
  return 0;
}

uint32_t weight_of_slice(const EndpointSlice& slice) {
  const auto& annotations = slice.metadata().annotations();
  const auto found = annotations.find(kWeightAnnotation);
  uint32_t weight = 1;
  if (found != annotations.end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), weight);
  }
  return weight;
}

Endpoint endpoint_of(const kubernetes::discovery::v1::Endpoint& from, uint16_t port, uint32_t weight) {
  Endpoint out;
  out.address = from.addresses(0);
  out.port = port;
  out.weight = weight;
  const auto& conditions = from.conditions();
  out.ready = !conditions.has_ready() || conditions.ready();
  const bool serving = conditions.has_serving() ? conditions.serving() : out.ready;
  out.draining = conditions.terminating() && serving;
  out.ready = out.ready && !conditions.terminating();
  out.zone = from.zone();
  out.node_name = from.node_name();
  const auto name = from.target_ref().fields().find("name");
  out.workload = name == from.target_ref().fields().end() ? from.hostname() : name->second.string_value();
  return out;
}

void add_slice(const EndpointSlice& slice, const Service& service, Endpoints* out) {
  const uint32_t weight = weight_of_slice(slice);
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const uint16_t port = port_of_slice(slice, service.ports[i].name);
    if (port == 0) continue;
    std::vector<Endpoint>& endpoints = out->ports[i].endpoints;
    endpoints.reserve(endpoints.size() + static_cast<size_t>(slice.endpoints_size()));
    for (const auto& endpoint : slice.endpoints()) endpoints.push_back(endpoint_of(endpoint, port, weight));
  }
}

// Workloads that announced themselves, by the addresses that EndpointSlices may name as well: of the proxy, or of the
// application behind it.
class Announced {
 public:
  Announced(const Service& service, const std::map<std::string, Workload>& workloads) {
    for (const auto& [node, workload] : workloads) {
      if (!workload.listening || service.ports_of_app(workload.app_port).empty()) continue;
      by_place_[{workload.address, workload.port}] = &workload;
      by_place_[{workload.address, workload.app_port}] = &workload;
    }
  }
  // Null if there is none.
  const Workload* find(const Endpoint& endpoint) const {
    const auto found = by_place_.find({endpoint.address, endpoint.port});
    return found == by_place_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::pair<std::string_view, uint16_t>, const Workload*> by_place_;
};

// `platform`: what an EndpointSlice says of where it runs.
void add_workload(const Workload& workload, const Endpoint& platform, const Service& service,
                  absl::FunctionRef<bool(uint16_t)> takes_mtls, Endpoints* out) {
  // Until its proxy listens it is no endpoint at all.
  if (!workload.listening) return;
  Endpoint endpoint = platform;
  endpoint.address = workload.address;
  endpoint.port = workload.port;
  endpoint.ready = workload.ready();
  endpoint.draining = workload.draining;
  endpoint.workload = workload.name.node;
  const auto place_behind = [&](uint16_t app_port, Endpoint* endpoint) {
    endpoint->app_port = app_port;
    endpoint->can_mtls = workload.mtls;
    endpoint->mtls = workload.mtls && takes_mtls(app_port);
  };
  place_behind(workload.app_port, &endpoint);
  endpoint.labels = workload.labels;
  const std::vector<uint16_t> own = service.ports_of_app(workload.app_port);
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    if (std::find(own.begin(), own.end(), port.port) != own.end()) {
      out->ports[i].endpoints.push_back(endpoint);
    } else if (workload.takes_all_ports && port.target_port != 0) {
      out->ports[i].endpoints.push_back(endpoint);
      out->ports[i].endpoints.back().port = port.target_port;
      place_behind(port.target_port, &out->ports[i].endpoints.back());
    }
  }
}

void add_external(const v1::ExternalServiceSpec& spec, Endpoints* out) {
  for (int i = 0; i < spec.ports_size(); ++i) {
    const auto& port = spec.ports(i);
    const auto number = static_cast<uint16_t>(port.target_port() == 0 ? port.port() : port.target_port());
    std::vector<Endpoint>& endpoints = out->ports[i].endpoints;
    for (const auto& from : spec.endpoints()) {
      Endpoint endpoint;
      endpoint.address = from.address();
      endpoint.port = number;
      endpoint.weight = from.has_weight() ? from.weight() : 1;
      endpoint.zone = from.zone();
      endpoints.push_back(std::move(endpoint));
    }
    if (!spec.endpoints().empty() || spec.resolution() == "None") continue;
    Endpoint endpoint;
    endpoint.address = spec.hosts(0);
    endpoint.port = number;
    endpoints.push_back(std::move(endpoint));
  }
}

// An endpoint that stands twice counts once, as while it moves from one slice to another.
void sort_once(std::vector<Endpoint>* endpoints) {
  const auto place = [](const Endpoint& a) { return std::tie(a.address, a.port); };
  const bool is_sorted_once =
      std::adjacent_find(endpoints->begin(), endpoints->end(), [&](const Endpoint& a, const Endpoint& b) {
        return place(a) >= place(b);
      }) == endpoints->end();
  if (is_sorted_once) return;
  std::stable_sort(endpoints->begin(), endpoints->end(),
                   [&](const Endpoint& a, const Endpoint& b) { return place(a) < place(b); });
  endpoints->erase(std::unique(endpoints->begin(), endpoints->end(),
                               [&](const Endpoint& a, const Endpoint& b) { return place(a) == place(b); }),
                   endpoints->end());
}

// A valid object's.
std::vector<std::string> accounts_of(const Object& object) {
  const auto& annotations = source::metadata_of(*object.content).annotations();
  const auto found = annotations.find(kServiceAccountsAnnotation);
  if (found == annotations.end()) return {object.key.name};
  return parse_accounts(found->second).value_or(std::vector<std::string>{object.key.name});
}

// A valid object's.
Export export_of(const Object& object) {
  const auto& annotations = source::metadata_of(*object.content).annotations();
  const auto found = annotations.find(kExportToAnnotation);
  if (found == annotations.end()) return {};
  return parse_export(found->second, object.key.namespace_name).value_or(Export{.to_all = false});
}

}  // namespace

ServiceName service_name_of(const source::Key& key) {
  return {key.namespace_name, key.name, key.kind == Kind::kExternalService};
}

ServiceName service_name_of_slice(const Object& slice) {
  const auto& labels = source::metadata_of(*slice.content).labels();
  const auto found = labels.find(kServiceNameLabel);
  return {slice.key.namespace_name, found == labels.end() ? "" : found->second, false};
}

int64_t created_ms(const Object& object) {
  return google::protobuf::util::TimeUtil::TimestampToMilliseconds(
      source::metadata_of(*object.content).creation_timestamp());
}

std::shared_ptr<Service> build_service(const Object& object) {
  auto out = std::make_shared<Service>();
  out->name = service_name_of(object.key);
  out->origin = {object.key, object.revision};
  for (const auto& [name, value] : source::metadata_of(*object.content).labels()) out->labels.emplace_back(name, value);
  std::sort(out->labels.begin(), out->labels.end());
  out->exported = export_of(object);
  if (!out->name.external) out->service_accounts = accounts_of(object);
  if (out->name.external) {
    fill(source::content_as<v1::ExternalService>(object).spec(), out.get());
  } else {
    fill(object, source::content_as<kubernetes::core::v1::Service>(object).spec(), out.get());
  }
  return out;
}

std::shared_ptr<const Endpoints> build_endpoints(const Service& service, const Object& object,
                                                 const std::vector<Object>& slices,
                                                 const std::map<std::string, Workload>& workloads,
                                                 absl::FunctionRef<bool(uint16_t)> takes_mtls) {
  auto out = std::make_shared<Endpoints>();
  for (const ServicePort& port : service.ports) out->ports.push_back({port.port, {}});
  if (service.name.external) {
    add_external(source::content_as<v1::ExternalService>(object).spec(), out.get());
  } else if (service.resolution == Resolution::kDns) {
    const auto& spec = source::content_as<kubernetes::core::v1::Service>(object).spec();
    for (Endpoints::Port& port : out->ports) {
      Endpoint endpoint;
      endpoint.address = spec.external_name();
      endpoint.port = port.service_port;
      port.endpoints.push_back(std::move(endpoint));
    }
  } else {
    for (const Object& slice : slices) add_slice(source::content_as<EndpointSlice>(slice), service, out.get());
    // Of a workload that announced itself its own word counts: by which port it is called, and whether it is well.
    const Announced announced(service, workloads);
    std::map<const Workload*, Endpoint> platform;
    for (Endpoints::Port& port : out->ports) {
      std::erase_if(port.endpoints, [&](const Endpoint& each) {
        const Workload* workload = announced.find(each);
        if (workload != nullptr) platform[workload] = each;
        return workload != nullptr;
      });
    }
    for (const auto& [node, workload] : workloads) {
      add_workload(workload, platform[&workload], service, takes_mtls, out.get());
    }
  }
  for (Endpoints::Port& port : out->ports) sort_once(&port.endpoints);
  return out;
}

}  // namespace weft::control::registry
