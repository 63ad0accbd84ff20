#include "control-plane/install/custom_resources.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <catch2/catch.hpp>

#include "control-plane/install/schema.h"
#include "control-plane/source/kind.h"
#include "envoy/config/core/v3/base.pb.h"

namespace weft::control::install {
namespace {

using text::Tree;

const Tree& find(const std::vector<Tree>& definitions, const std::string& kind) {
  for (const Tree& each : definitions) {
    if (each["spec"]["names"]["kind"] == kind) return each;
  }
  FAIL("no " + kind);
  return definitions.front();
}

TEST_CASE("every kind of ours has a definition, and no other has") {
  const std::vector<Tree> definitions = custom_resource_definitions();
  size_t ours = 0;
  for (const source::KindInfo& kind : source::all_kinds()) ours += kind.group == kGroup ? 1 : 0;
  CHECK(definitions.size() == ours);
  CHECK(custom_resource_plurals().size() == ours);
  for (const Tree& each : definitions) {
    CHECK(each["metadata"]["name"] == each["spec"]["names"]["plural"].get<std::string>() + ".weft.mesh");
    const Tree& version = each["spec"]["versions"][0];
    CHECK(version["storage"] == true);
    const Tree& schema = version["schema"]["openAPIV3Schema"];
    CHECK(schema["required"].dump() == R"(["spec"])");
    CHECK(schema["properties"]["metadata"].dump() == R"({"type":"object"})");
  }
}

TEST_CASE("a kind's fields have their types and their JSON names") {
  const std::vector<Tree> definitions = custom_resource_definitions();
  const Tree& policy = find(definitions, "TrafficPolicy");
  CHECK(policy["spec"]["scope"] == "Namespaced");
  CHECK(policy["spec"]["names"]["shortNames"].dump() == R"(["tp"])");
  const Tree& spec = policy["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
  CHECK(spec["type"] == "object");
  CHECK(spec["properties"]["targetRefs"]["items"]["properties"]["sectionName"].dump() == R"({"type":"string"})");
  CHECK(spec["properties"]["retry"]["properties"]["attempts"].dump() ==
        R"({"type":"integer","format":"int64","minimum":0,"maximum":4294967295})");
  CHECK(spec["properties"]["loadBalancer"]["properties"]["hashKey"]["properties"]["sourceIP"].dump() ==
        R"({"type":"boolean"})");
  CHECK(policy["spec"]["versions"][0]["subresources"].dump() == R"({"status":{}})");
  CHECK(policy["spec"]["versions"][0]["additionalPrinterColumns"][1]["jsonPath"] ==
        ".status.ancestors[*].conditions[?(@.type==\"Accepted\")].status");
  const Tree& scope = find(definitions, "Scope");
  CHECK(scope["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] ==
        ".status.conditions[?(@.type==\"Accepted\")].status");
}

TEST_CASE("types that no kind of ours has yet have a schema as well") {
  const Tree value = schema_of_kind(*google::protobuf::Struct::descriptor());
  CHECK(value["x-kubernetes-preserve-unknown-fields"] == true);
  const Tree node = schema_of_kind(*envoy::config::core::v3::Node::descriptor());
  CHECK(node["properties"]["metadata"].dump() == R"({"type":"object"})");
  const Tree& version = node["properties"]["userAgentBuildVersion"]["properties"];
  CHECK(version["metadata"]["x-kubernetes-preserve-unknown-fields"] == true);
  const Tree& endpoint = schema_of_kind(*envoy::config::core::v3::SocketAddress::descriptor());
  CHECK(endpoint["properties"]["protocol"]["enum"].dump().find("\"TCP\"") != std::string::npos);
  // A message within itself ends somewhere.
  const Tree list = schema_of_kind(*google::protobuf::ListValue::descriptor());
  CHECK(list["type"] == "array");
}

}  // namespace
}  // namespace weft::control::install
