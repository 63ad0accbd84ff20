#pragma once

// One xDS resource as every node gets it: its bytes are written once and shared by all, and its version is the hash of
// its content. Immutable; any thread may read one.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::control::snapshot {

// In the order in which a node must learn of them.
enum class Type : uint8_t { kCluster, kEndpoint, kSecret, kListener, kRoute, kName };
inline constexpr size_t kTypeCount = 6;
inline constexpr std::array<Type, kTypeCount> kTypes = {Type::kCluster,  Type::kEndpoint, Type::kSecret,
                                                        Type::kListener, Type::kRoute,    Type::kName};

// "type.googleapis.com/envoy.config.cluster.v3.Cluster"
std::string_view type_url(Type type);
// "cluster"
std::string_view type_name(Type type);
std::optional<Type> type_of_url(std::string_view url);

// Another resource that this one names and a node needs beside it.
struct Reference {
  Type type = Type::kCluster;
  std::string name;

  bool operator==(const Reference&) const = default;
};

struct Resource {
  Type type = Type::kCluster;
  std::string name;
  uint64_t version = 0;
  // As google.protobuf.Any: what a DiscoveryResponse holds.
  std::string any;
  // What stands before `any` in the message Resource of a DeltaDiscoveryResponse: name, version, and the field of
  // `any`.
  std::string delta_prefix;
  // Clusters of a route, route of a listener, endpoints of a cluster; each once.
  std::vector<Reference> references;
};
using ResourcePointer = std::shared_ptr<const Resource>;

// Resources of one type by their name, which stands in the resource alone: there are as many such sets as proxies.
struct ByName {
  using is_transparent = void;
  static std::string_view name(std::string_view name) { return name; }
  static std::string_view name(const ResourcePointer& resource) { return resource->name; }

  template <typename Named>
  size_t operator()(const Named& named) const {
    return absl::Hash<std::string_view>()(name(named));
  }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return name(a) == name(b);
  }
};
using Resources = absl::flat_hash_set<ResourcePointer, ByName, ByName>;

// In the place of one of the same name, if there is one.
inline void put(ResourcePointer resource, Resources& into) {
  const auto [place, is_new] = into.insert(resource);
  // What it is found by, its name, stays the same.
  if (!is_new) const_cast<ResourcePointer&>(*place) = std::move(resource);
}
// Null if there is none.
inline ResourcePointer find(const Resources& resources, std::string_view name) {
  const auto found = resources.find(name);
  return found == resources.end() ? nullptr : *found;
}

// `message` must be of the type's kind. The same content always makes the same bytes and the same version.
ResourcePointer make_resource(Type type, std::string name, const google::protobuf::Message& message,
                              std::vector<Reference> references = {});
// Of a message's bytes.
ResourcePointer make_resource(Type type, std::string name, std::string_view content, std::vector<Reference> references);

// 16 hexadecimal digits.
std::string version_text(uint64_t version);
// 0, which is no version, if it is not one of ours.
uint64_t parse_version(std::string_view text);

}  // namespace weft::control::snapshot
