#include "tests/simulation/workload.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "control-plane/source/documents.h"

namespace weft::simulation {

namespace {

constexpr char kAuthor[] = "simulation";
constexpr uint64_t kRoutesPerService = 2;
constexpr uint64_t kSlicesPerService = 2;

}  // namespace

const std::vector<std::string>& Workload::namespaces() {
  static const auto* const kNames = new std::vector<std::string>{"shop", "bank", "zoo"};
  return *kNames;
}

Workload::Workload(World& world, ControlPlane& control_plane, uint64_t seed, int services)
    : world_(world), control_plane_(control_plane), random_(seed), services_(static_cast<uint64_t>(services)) {}

Workload::Place Workload::place() { return {namespaces()[below(namespaces().size())], service_name(below(services_))}; }

std::string Workload::service(const Place& place) {
  static constexpr const char* kProtocols[] = {"", ", appProtocol: http", ", appProtocol: grpc", ", appProtocol: tcp"};
  std::string ports = absl::StrCat("{name: web, port: 80", kProtocols[below(8) < 6 ? below(3) : 3], "}");
  if (below(3) == 0) absl::StrAppend(&ports, ", {name: more, port: ", 9000 + below(2), "}");
  return absl::StrCat("{apiVersion: v1, kind: Service, metadata: {name: ", place.service,
                      ", namespace: ", place.namespace_name, "}, spec: {ports: [", ports, "]}}\n");
}

std::string Workload::slice(const Place& place) {
  std::vector<std::string> endpoints;
  for (uint64_t i = 1 + below(4); i > 0; --i) {
    static constexpr const char* kConditions[] = {"", "", "", ", conditions: {ready: false}",
                                                  ", conditions: {ready: false, serving: true, terminating: true}"};
    endpoints.push_back(absl::StrCat("{addresses: [10.0.", below(4), ".", 1 + below(200), "], zone: z", below(2),
                                     kConditions[below(5)], "}"));
  }
  const std::string more = below(2) == 0 ? ", {name: more, port: 9090}" : "";
  return absl::StrCat("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: ",
                      place.service, "-", below(kSlicesPerService), ", namespace: ", place.namespace_name,
                      ", labels: {kubernetes.io/service-name: ", place.service, "}}, ports: [{name: web, port: 8080}",
                      more, "], endpoints: [", absl::StrJoin(endpoints, ", "), "]}\n");
}

std::string Workload::route(const Place& place) {
  std::vector<std::string> backends;
  for (uint64_t i = 1 + below(2); i > 0; --i) {
    const Place to = this->place();
    // Some lead to what is not there, or to another namespace without a grant.
    backends.push_back(absl::StrCat("{name: ", to.service, ", port: ", below(8) == 0 ? 81 : 80, ", weight: ", below(10),
                                    below(6) == 0 ? absl::StrCat(", namespace: ", to.namespace_name) : "", "}"));
  }
  const std::string match =
      below(2) == 0 ? absl::StrCat("matches: [{path: {type: PathPrefix, value: /p", below(3), "}}], ") : std::string();
  return absl::StrCat("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: ", place.service,
                      "-", below(kRoutesPerService), ", namespace: ", place.namespace_name,
                      "}, spec: {parentRefs: [{group: \"\", kind: Service, name: ", place.service, "}], rules: [{",
                      match, "backendRefs: [", absl::StrJoin(backends, ", "), "]}]}}\n");
}

std::string Workload::policy(const Place& place) {
  const std::string target = below(3) == 0
                                 ? absl::StrCat("{group: \"\", kind: Namespace, name: ", place.namespace_name, "}")
                                 : absl::StrCat("{group: \"\", kind: Service, name: ", place.service, "}");
  return absl::StrCat("{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: p", below(6),
                      ", namespace: ", place.namespace_name, "}, spec: {targetRefs: [", target,
                      "], timeouts: {request: ", 1 + below(5), "s, connect: ", 1 + below(3),
                      "s}, circuitBreaker: {maxRequests: ", 1 + below(100), "}}}\n");
}

std::string Workload::external(const Place& place) {
  const bool is_static = below(2) == 0;
  return absl::StrCat(
      "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: x", below(3),
      ", namespace: ", place.namespace_name, "}, spec: {hosts: [x", below(3), ".example.com], ports: [{",
      "port: 80, appProtocol: http}], resolution: ", is_static ? "Static" : "DNS",
      is_static ? absl::StrCat(", endpoints: [{address: 192.0.2.", 1 + below(9), "}]") : std::string(), "}}\n");
}

void Workload::apply(const std::string& documents) {
  const auto drafts = control::source::read_documents(documents, "simulation.yaml");
  if (!drafts.ok()) return world_.fail(absl::StrCat("a document cannot be read: ", drafts.status().message()));
  const auto applied = control_plane_.control().apply(*drafts, false, kAuthor);
  if (!applied.ok()) return world_.fail(absl::StrCat("a change is refused: ", applied.status().message()));
  ++commits_;
  world_.note(absl::StrCat("revision ", applied->revision), documents);
}

void Workload::begin() {
  std::string all;
  for (const std::string& namespace_name : namespaces()) {
    for (uint64_t i = 0; i < services_; ++i) {
      const Place each{namespace_name, service_name(i)};
      absl::StrAppend(&all, service(each), "---\n", slice(each), "---\n");
    }
  }
  apply(all);
}

void Workload::remove_one() {
  const auto found = control_plane_.control().get({});
  if (!found.ok() || found->empty()) return;
  const control::source::Key key = (*found)[below(found->size())].object.key;
  const auto removed = control_plane_.control().remove({key}, false, kAuthor);
  if (!removed.ok()) return world_.fail(absl::StrCat("a removal is refused: ", removed.status().message()));
  ++commits_;
  world_.note(absl::StrCat("revision ", removed->revision, ": removed ", control::source::to_string(key)));
}

void Workload::roll_back() {
  const control::source::Revision newest = control_plane_.control().revision();
  if (newest < 2) return;
  const control::source::Revision to = newest - 1 - below(std::min<uint64_t>(newest - 1, 8));
  const auto done = control_plane_.control().roll_back(to, false);
  if (!done.ok()) return world_.fail(absl::StrCat("a rollback is refused: ", done.status().message()));
  ++commits_;
  world_.note(absl::StrCat("revision ", done->revision, ": as ", to));
}

void Workload::change() {
  if (!control_plane_.up()) return;
  const uint64_t kind = below(100);
  if (kind < 12) return remove_one();
  if (kind < 16) return roll_back();
  std::string documents;
  std::set<std::string> seen;
  for (uint64_t i = 1 + below(3); i > 0; --i) {
    const uint64_t what = below(100);
    const Place at = place();
    std::string document = what < 40   ? slice(at)
                           : what < 60 ? route(at)
                           : what < 75 ? service(at)
                           : what < 90 ? policy(at)
                                       : external(at);
    // One object stands once in a commit.
    const std::string object = document.substr(0, document.find("spec:"));
    if (seen.insert(object.substr(0, object.find("labels:"))).second) absl::StrAppend(&documents, document, "---\n");
  }
  apply(documents);
}

}  // namespace weft::simulation
