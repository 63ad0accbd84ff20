#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/registry/validate.h"
#include "kubernetes/discovery/v1/endpoint_slice.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::analyze {

namespace {

using kubernetes::discovery::v1::EndpointSlice;
using registry::Service;
using text::cat;

void find_without_endpoints(const Service& service, const registry::Endpoints& endpoints, Findings* out) {
  const bool has_any = std::any_of(endpoints.ports.begin(), endpoints.ports.end(),
                                   [](const auto& port) { return !port.endpoints.empty(); });
  if (!has_any) {
    out->push_back(
        {Severity::kWarning, "NoEndpoints", service.origin.key, "",
         cat("no EndpointSlice has an endpoint of it, so calls fail; start its workload, or label the slice ",
             registry::kServiceNameLabel, ": ", service.name.name)});
    return;
  }
  for (size_t i = 0; i < endpoints.ports.size(); ++i) {
    const auto& port = endpoints.ports[i];
    const std::string path = text::index_path("spec.ports", i);
    if (port.endpoints.empty()) {
      const std::string& name = i < service.ports.size() ? service.ports[i].name : "";
      out->push_back({Severity::kWarning, "PortNotServed", service.origin.key, path,
                      cat("no EndpointSlice of the service has a port named \"", name, "\", so calls to port ",
                          port.service_port, " fail; name the slice's port as the service's")});
      continue;
    }
    const bool is_ready = std::any_of(port.endpoints.begin(), port.endpoints.end(), [&](const auto& endpoint) {
      return endpoint.ready || service.publish_not_ready;
    });
    if (is_ready) continue;
    out->push_back({Severity::kWarning, "NoReadyEndpoints", service.origin.key, path,
                    cat("none of the ", port.endpoints.size(), " endpoints of port ", port.service_port,
                        " is ready, so calls fail; look at the workload's health")});
  }
}

// What chooses among endpoints, or looks after them, has none to do it with.
void find_without_choice(const Service& service, const registry::Policies& policies, Findings* out) {
  std::set<std::pair<source::Key, std::string>> told;
  for (const registry::EffectivePolicyPointer& policy : policies.ports) {
    if (policy == nullptr) continue;
    for (const registry::EffectivePolicy::Section& section : policy->sections) {
      const bool chooses =
          section.field == "loadBalancer" || section.field == "healthCheck" || section.field == "outlierDetection";
      if (!chooses || !told.emplace(section.origin.key, section.field).second) continue;
      out->push_back({Severity::kInfo, "SectionNotApplied", section.origin.key, cat("spec.", section.field),
                      cat("calls of ", to_string(service.name), " go to where they were made, as its resolution is ",
                          "None, so there is nothing to choose or to look after")});
    }
  }
}

void find_in_slice(const Input& input, const source::Object& object, Findings* out) {
  const auto& slice = source::content_as<EndpointSlice>(object);
  const auto label = slice.metadata().labels().find(registry::kServiceNameLabel);
  if (label == slice.metadata().labels().end()) return;
  const auto service = input.model.services.find({object.key.namespace_name, label->second, false});
  if (service == nullptr) {
    out->push_back({Severity::kWarning, "SliceWithoutService", object.key, "metadata.labels",
                    cat("the service ", object.key.namespace_name, "/", label->second,
                        " does not exist, so nobody calls these endpoints; create it, or correct the label")});
    return;
  }
  for (int i = 0; i < slice.ports_size(); ++i) {
    const std::string& name = slice.ports(i).name();
    const bool is_known = std::any_of(service->ports.begin(), service->ports.end(),
                                      [&](const registry::ServicePort& port) { return port.name == name; });
    if (is_known) continue;
    out->push_back({Severity::kInfo, "SlicePortUnused", object.key, text::index_path("ports", static_cast<size_t>(i)),
                    cat("the service ", to_string(service->name), " has no TCP port named \"", name,
                        "\", so nobody calls it; name it as the service's port, or delete it")});
  }
}

}  // namespace

void find_in_services(const Input& input, Findings* out) {
  input.model.services.for_each([&](const registry::ServiceName& name, const auto& service) {
    const auto endpoints = input.model.endpoints.find(name);
    const auto policies = input.model.policies.find(name);
    if (service->resolution == registry::Resolution::kNone) {
      if (policies != nullptr) find_without_choice(*service, *policies, out);
    } else if (endpoints != nullptr && !service->ports.empty()) {
      find_without_endpoints(*service, *endpoints, out);
    }
  });
  for (const Judged& each : input.objects) {
    if (each.object.key.kind == source::Kind::kEndpointSlice) find_in_slice(input, each.object, out);
  }
}

}  // namespace weft::control::analyze
