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

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::control::snapshot {

// In the order in which a node must learn of them.
enum class Type : uint8_t { kCluster, kEndpoint, kSecret, kListener, kRoute };
inline constexpr size_t kTypeCount = 5;
inline constexpr std::array<Type, kTypeCount> kTypes = {Type::kCluster, Type::kEndpoint, Type::kSecret, Type::kListener,
                                                        Type::kRoute};

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

// `message` must be of the type's kind. The same content always makes the same bytes and the same version.
ResourcePointer make_resource(Type type, std::string name, const google::protobuf::Message& message,
                              std::vector<Reference> references = {});

// 16 hexadecimal digits.
std::string version_text(uint64_t version);
// 0, which is no version, if it is not one of ours.
uint64_t parse_version(std::string_view text);

}  // namespace weft::control::snapshot
