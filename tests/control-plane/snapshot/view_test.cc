#include "control-plane/snapshot/view.h"

#include <catch2/catch.hpp>
#include <set>

#include "control-plane/snapshot/interner.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::snapshot {
namespace {

ResourcePointer cluster(const std::string& name, const std::string& stat_name = "") {
  envoy::config::cluster::v3::Cluster message;
  message.set_name(name);
  message.set_alt_stat_name(stat_name);
  return make_resource(Type::kCluster, name, message);
}

ResourcePointer route(const std::string& name, const std::string& to) {
  envoy::config::cluster::v3::Cluster any_content;
  any_content.set_name(to);
  return make_resource(Type::kRoute, name, any_content, {{Type::kCluster, to}});
}

Change set(const ResourcePointer& resource) { return {resource->type, resource->name, resource}; }

std::vector<std::string> changed_since(const View& view, View::Generation generation) {
  std::vector<std::string> names;
  REQUIRE(view.changes_since(generation, [&](Type, const std::string& name) { names.push_back(name); }));
  return names;
}

TEST_CASE("a resource's bytes are what the two response messages hold") {
  const ResourcePointer resource = cluster("cart", "shop");
  google::protobuf::Any any;
  REQUIRE(any.ParseFromString(resource->any));
  envoy::config::cluster::v3::Cluster content;
  REQUIRE(any.UnpackTo(&content));
  CHECK(content.alt_stat_name() == "shop");
  envoy::service::discovery::v3::Resource wrapped;
  REQUIRE(wrapped.ParseFromString(resource->delta_prefix + resource->any));
  CHECK(wrapped.name() == "cart");
  CHECK(wrapped.version() == version_text(resource->version));
  CHECK(wrapped.resource().SerializeAsString() == any.SerializeAsString());
}

TEST_CASE("a version is the content's, and can be read back from its text") {
  CHECK(cluster("a")->version == cluster("a")->version);
  CHECK(cluster("a")->version != cluster("a", "other")->version);
  CHECK(parse_version(version_text(0x12ab)) == 0x12ab);
  for (const char* text : {"", "12ab", "zzzzzzzzzzzzzzzz", "00000000000012ab0"}) CHECK(parse_version(text) == 0);
}

TEST_CASE("equal resources become one for as long as somebody holds it") {
  Interner interner;
  const ResourcePointer first = interner.intern(cluster("a"));
  CHECK(interner.intern(cluster("a")) == first);
  CHECK(interner.intern(cluster("b")) != first);
  for (int i = 0; i < 5000; ++i) interner.intern(cluster("gone" + std::to_string(i)));
  CHECK(interner.size() < 3000);
  CHECK(interner.intern(cluster("a")) == first);
}

TEST_CASE("a view tells what changed since a generation, and only that") {
  View view;
  REQUIRE(view.apply({set(cluster("a")), set(cluster("b"))}).ok());
  const View::Generation before = view.generation();
  REQUIRE(view.apply({set(cluster("a")), set(cluster("b", "new")), {Type::kCluster, "none", nullptr}}).ok());
  CHECK(changed_since(view, before) == std::vector<std::string>{"b"});
  CHECK(changed_since(view, view.generation()).empty());
}

TEST_CASE("a view whose log does not reach back says so") {
  View view;
  for (int i = 0; i < 5000; ++i) REQUIRE(view.apply({set(cluster("a", std::to_string(i)))}).ok());
  CHECK_FALSE(view.changes_since({}, [](Type, const std::string&) {}));
  CHECK(changed_since(view, {view.generation().own - 10, 0}).size() == 10);
}

TEST_CASE("no route to a cluster that the view lacks, whichever way it would come about") {
  View view;
  const absl::Status dangling = view.apply({set(cluster("other")), set(route("r", "a"))});
  CHECK(dangling.message() == "route \"r\" names cluster \"a\", which the view lacks");
  CHECK(view.generation() == View::Generation{});
  CHECK(view.find(Type::kCluster, "other") == nullptr);

  REQUIRE(view.apply({set(route("r", "a")), set(cluster("a"))}).ok());
  const View::Generation before = view.generation();
  CHECK_FALSE(view.apply({{Type::kCluster, "a", nullptr}}).ok());
  CHECK(view.find(Type::kCluster, "a") != nullptr);
  CHECK(changed_since(view, before).empty());
  CHECK(view.apply({{Type::kCluster, "a", nullptr}, {Type::kRoute, "r", nullptr}}).ok());
  CHECK(view.own(Type::kRoute).empty());
}

TEST_CASE("the difference to a whole state is what has to change, removals included") {
  View view;
  REQUIRE(view.apply({set(cluster("same")), set(cluster("old")), set(cluster("changed"))}).ok());
  std::array<Resources, kTypeCount> wanted;
  for (const ResourcePointer& resource : {cluster("same"), cluster("changed", "now"), cluster("new")}) {
    put(resource, wanted[0]);
  }
  const std::vector<Change> changes = difference(view, wanted);
  CHECK(changes.size() == 3);
  REQUIRE(view.apply(changes).ok());
  CHECK(difference(view, wanted).empty());
}

TEST_CASE("a view on another has what is below, and tells what changes in either") {
  View below;
  REQUIRE(below.apply({set(cluster("shared"))}).ok());
  View view(&below);
  REQUIRE(view.apply({set(cluster("own")), set(route("r", "own")), set(route("s", "shared"))}).ok());
  CHECK(view.find(Type::kCluster, "shared") == below.find(Type::kCluster, "shared"));
  CHECK(below.find(Type::kCluster, "own") == nullptr);
  std::set<std::string> names;
  view.for_each_name(Type::kCluster, [&](const std::string& name) { names.insert(name); });
  CHECK(names == std::set<std::string>{"own", "shared"});

  const View::Generation before = view.generation();
  REQUIRE(below.apply({set(cluster("later"))}).ok());
  CHECK_FALSE(view.generation() == before);
  REQUIRE(view.apply({set(cluster("own", "anew"))}).ok());
  CHECK(changed_since(view, before) == std::vector<std::string>{"later", "own"});
  CHECK(changed_since(view, view.generation()).empty());
  for (int i = 0; i < 5000; ++i) REQUIRE(below.apply({set(cluster("a", std::to_string(i)))}).ok());
  CHECK_FALSE(view.changes_since(before, [](Type, const std::string&) {}));
  // What is its own is all that a difference takes away.
  std::array<Resources, kTypeCount> none;
  REQUIRE(view.apply(difference(view, none)).ok());
  CHECK(view.find(Type::kCluster, "own") == nullptr);
  CHECK(view.find(Type::kCluster, "shared") != nullptr);
}

}  // namespace
}  // namespace weft::control::snapshot
