#include "control-plane/source/documents.h"

#include <catch2/catch.hpp>
#include <string>

#include "api/text/print.h"
#include "gateway/v1/http_route.pb.h"
#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source {
namespace {

std::string mistakes(std::string_view text, std::string_view name = "cart.yaml") {
  const auto drafts = read_documents(text, name);
  CHECK(drafts.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(drafts.status().message());
}

constexpr std::string_view kTwo = R"(# the cart
---
apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
  labels: {app: cart}
spec:
  clusterIP: 10.1.0.1
  ports:
  - {name: http, port: 80, targetPort: 8080, appProtocol: http}
  - {name: admin, port: 9000, targetPort: admin}
--- # its route
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}, queryParams: [{name: q, value: "1"}]}]
    backendRefs: [{name: cart-v2, port: 80, weight: 0}]
---
)";

TEST_CASE("a text's documents become objects, in its order, each with its positions") {
  const auto drafts = read_documents(kTwo, "cart.yaml");
  REQUIRE(drafts.ok());
  REQUIRE(drafts->size() == 2);
  CHECK(to_string((*drafts)[0].key) == "Service shop/cart");
  CHECK(to_string((*drafts)[1].key) == "HTTPRoute default/cart");
  const auto& service = static_cast<const kubernetes::core::v1::Service&>(*(*drafts)[0].content);
  CHECK(service.spec().cluster_ip() == "10.1.0.1");
  CHECK(service.spec().ports(0).target_port().number_value() == 8080);
  CHECK(service.spec().ports(1).target_port().string_value() == "admin");
  CHECK((*drafts)[0].positions().locate("spec.ports[1].targetPort") == "cart.yaml:13:31: spec.ports[1].targetPort");
  CHECK((*drafts)[1].positions().locate("spec.rules[0].backendRefs[0].weight") ==
        "cart.yaml:22:45: spec.rules[0].backendRefs[0].weight");
}

TEST_CASE("an object printed as JSON has Kubernetes' names and types") {
  const auto drafts = read_documents(kTwo, "cart.yaml");
  REQUIRE(drafts.ok());
  mutable_metadata_of((*drafts)[0].content.get())->set_generation(3);
  text::PrintOptions options;
  options.proto_names = false;
  options.indent = false;
  const std::string service = text::print_json(*(*drafts)[0].content, options);
  CHECK(service.find(R"("clusterIP":"10.1.0.1")") != std::string::npos);
  CHECK(service.find(R"("targetPort":8080)") != std::string::npos);
  CHECK(service.find(R"("generation":3)") != std::string::npos);
  const std::string route = text::print_json(*(*drafts)[1].content, options);
  CHECK(route.find(R"("group":"")") != std::string::npos);
  CHECK(route.find(R"("weight":0)") != std::string::npos);
  const auto again = read_documents(route, "cart.json");
  REQUIRE(again.ok());
  CHECK(same_intent(*again->front().content, *(*drafts)[1].content));
}

TEST_CASE("status and what a store sets are not the writer's, but for the revision he expects") {
  const auto drafts = read_documents(R"(
apiVersion: v1
kind: Service
metadata: {name: a, resourceVersion: "12", generation: 4, uid: x, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {ports: [{port: 80}]}
status: {loadBalancer: {}}
)",
                                     "a.yaml");
  REQUIRE(drafts.ok());
  const Draft& draft = drafts->front();
  CHECK(draft.expected_revision == 12);
  const auto& service = static_cast<const kubernetes::core::v1::Service&>(*draft.content);
  CHECK_FALSE(service.has_status());
  CHECK(service.metadata().generation() == 0);
  CHECK(service.metadata().resource_version().empty());
  CHECK_FALSE(service.metadata().has_creation_timestamp());
}

TEST_CASE("mistakes of all documents are told together, each with its place") {
  const std::string text = mistakes(R"(apiVersion: v1
kind: Servise
metadata: {name: a}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  port: 80
---
kind: Service
---
apiVersion: v1
kind: Service
metadata: {name: b, resourceVersion: newest}
---
apiVersion: v1
kind: Namespace
metadata: {name: b, namespace: c}
---
apiVersion: v1
kind: Namespace
metadata: {}
---
a: [
)");
  CHECK(
      text.find("cart.yaml:2:1: kind: v1 Servise is not a kind that Weft knows; known are v1 Namespace, v1 Service") !=
      std::string::npos);
  CHECK(text.find("cart.yaml:9:3: spec: unknown field \"port\"") != std::string::npos);
  CHECK(text.find("did you mean ports?") != std::string::npos);
  CHECK(text.find("cart.yaml:10:1: apiVersion: expected a version") != std::string::npos);
  CHECK(text.find("cart.yaml:15:21: metadata.resourceVersion: expected a revision") != std::string::npos);
  CHECK(text.find("cart.yaml:19:21: metadata.namespace: a Namespace lives in no namespace") != std::string::npos);
  CHECK(text.find("cart.yaml:23:1: metadata.name: expected a name") != std::string::npos);
  CHECK(text.find("cart.yaml:2") != std::string::npos);
  CHECK(text.find("not YAML") != std::string::npos);
}

TEST_CASE("what an object is may come of YAML's merges") {
  const auto merged =
      read_documents("<<: {apiVersion: v1, kind: Namespace}\nkind: Service\nmetadata: {name: a}\n", "a.yaml");
  INFO(merged.status().message());
  REQUIRE(merged.ok());
  CHECK(merged->front().key.kind == Kind::kService);
  const auto whole = read_documents("<<: {apiVersion: v1, kind: Namespace}\nmetadata: {name: a}\n", "a.yaml");
  INFO(whole.status().message());
  REQUIRE(whole.ok());
  CHECK(whole->front().key.kind == Kind::kNamespace);
}

TEST_CASE("an object that stands twice is refused by both places") {
  const std::string text = mistakes(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n");
  CHECK(text.find("cart.yaml:8:3: metadata.name: Namespace a stands a second time; the first is at cart.yaml:3:1") !=
        std::string::npos);
}

TEST_CASE("a text without objects is empty, not wrong") {
  const auto drafts = read_documents("# nothing yet\n---\n\n---\n", "a.yaml");
  REQUIRE(drafts.ok());
  CHECK(drafts->empty());
}

TEST_CASE("kinds are found as references and command lines name them") {
  CHECK(find_kind("gateway.networking.k8s.io/v1beta1", "HTTPRoute")->kind == Kind::kHttpRoute);
  CHECK(find_kind("gateway.networking.k8s.io/v9", "HTTPRoute") == nullptr);
  CHECK(find_kind_of_group("", "Service")->kind == Kind::kService);
  CHECK(find_kind_by_word("SVC")->kind == Kind::kService);
  CHECK(find_kind_by_word("httproutes")->kind == Kind::kHttpRoute);
  CHECK(find_kind_by_word("") == nullptr);
  for (const KindInfo& info : all_kinds()) CHECK(kind_info(info.kind).name == info.name);
}

}  // namespace
}  // namespace weft::control::source
