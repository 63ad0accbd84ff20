#include <catch2/catch.hpp>

#include "control-plane/analyze/finding.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::analyze {
namespace {

std::string object(const std::string& kind, const std::string& name, const std::string& spec) {
  return "---\n{apiVersion: weft.mesh/v1, kind: " + kind + ", metadata: {name: " + name +
         ", namespace: shop}, spec: {" + spec + "}}\n";
}

// Services a, b and c, with providers of the same names; `how` these are asked.
class Fixture {
 public:
  explicit Fixture(const std::string& how = "http: {}") {
    for (const char* name : {"a", "b", "c"}) {
      mesh.put(service_text(name, "grpc", 80));
      mesh.put(object("ExternalAuthorizer", name, "backendRef: {name: " + std::string(name) + ", port: 80}, " + how));
    }
  }

  // A policy of the service's, or without one the namespace's, by which the provider is asked.
  void put(const std::string& service, const std::string& provider, const std::string& rule = "{}") {
    const std::string refs = service.empty() ? "" : ", targetRefs: [{kind: Service, name: " + service + "}]";
    mesh.put(object("AuthorizationPolicy", "of-" + (service.empty() ? "all-by-" + provider : service),
                    "action: CUSTOM, provider: {name: " + provider + "}, rules: [" + rule + "]" + refs));
  }
  Findings run() const {
    Findings out;
    find_in_providers({mesh.model(), {}, {}}, &out);
    return out;
  }
  std::string found() const {
    std::string out;
    for (const Finding& each : run()) out += each.code + " " + each.key.name + " " + each.path + "\n";
    return out;
  }

  MeshFixture mesh;
};

TEST_CASE("two providers that have one another asked are told, with the whole circle") {
  Fixture f;
  f.put("a", "b");
  CHECK(f.found().empty());
  f.put("b", "a");
  CHECK(f.found() == "ProviderCycle of-a spec.provider\nProviderCycle of-b spec.provider\n");
  CHECK_THAT(f.run()[0].message,
             Catch::Contains("one at shop/a:80 has shop/b:80 asked (AuthorizationPolicy shop/of-a), one at shop/b:80 "
                             "has shop/a:80 asked (AuthorizationPolicy shop/of-b);"));
  CHECK(f.run()[0].severity == Severity::kWarning);
}

TEST_CASE("a circle of three is told, and who only leads into one is not") {
  Fixture f;
  f.put("a", "b");
  f.put("b", "c");
  CHECK(f.found().empty());
  f.put("c", "a");
  CHECK(f.run().size() == 3);
  f.put("c", "b");
  CHECK(f.found() == "ProviderCycle of-b spec.provider\nProviderCycle of-c spec.provider\n");
}

TEST_CASE("a provider is not asked whether it may be asked, and that ends no other circle") {
  Fixture f;
  f.put("", "a");
  f.put("", "b");
  CHECK(f.found().empty());
  // At c, that is for all, questions are asked about; there nobody asks c about them.
  f.put("a", "c");
  CHECK(f.found().empty());
}

TEST_CASE("what names other ports, methods or paths than those of questions is in no circle") {
  for (const std::string& how : {std::string("http: {}"), std::string("grpc: {}")}) {
    const bool is_grpc = how == "grpc: {}";
    const auto is_told = [&](const std::string& operation) {
      Fixture f(how);
      f.put("a", "b", "{to: [{operation: {" + operation + "}}]}");
      f.put("b", "a");
      return !f.run().empty();
    };
    CHECK_FALSE(is_told("ports: [\"81\"]"));
    CHECK(is_told("ports: [\"80\", \"81\"]"));
    CHECK_FALSE(is_told("notPorts: [\"80\"]"));
    // A question by http is as the request.
    CHECK(is_told("paths: [\"/admin*\"]") == !is_grpc);
    CHECK(is_told("methods: [GET]") == !is_grpc);
    CHECK(is_told("notPaths: [\"*/Check\"]") == !is_grpc);
    CHECK(is_told("paths: [\"/envoy.service.auth.v3.Authorization/Check\"], methods: [POST]"));
    CHECK(is_told("paths: [\"/{*}/Check\"]"));
    CHECK(is_told("notPaths: [\"/{*}/Check\"]"));
  }
}

TEST_CASE("policies do not hold for a provider without a sidecar, nor for one of elsewhere") {
  Fixture f;
  f.put("a", "b");
  f.put("b", "a");
  f.mesh.put(
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: a-1, namespace: "
      "shop, labels: {kubernetes.io/service-name: a}}, ports: [{name: main, port: 80}], endpoints: [{addresses: "
      "[10.0.0.1]}]}");
  CHECK(f.found().empty());
  registry::Workload workload;
  workload.name = {.namespace_name = "shop", .service = "a", .node = "a-1"};
  workload.labels = {"a", "a"};
  workload.address = "10.0.0.1";
  workload.port = workload.app_port = 80;
  workload.listening = true;
  f.mesh.registry.apply_workloads({{workload.name, workload}});
  CHECK(f.run().size() == 2);
}

TEST_CASE("who cannot be asked is in no circle") {
  Fixture f;
  f.put("a", "b");
  f.put("b", "a");
  f.mesh.put(object("ExternalAuthorizer", "a", "backendRef: {name: a, port: 81}, http: {}"));
  CHECK(f.found().empty());
}

}  // namespace
}  // namespace weft::control::analyze
