#pragma once

// Objects as the stores hold them: a key, and the content with its metadata. Objects are immutable and shared; any
// thread may read one.

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "control-plane/source/kind.h"

namespace kubernetes::meta::v1 {
class ObjectMeta;
}  // namespace kubernetes::meta::v1

namespace weft::control::source {

// A store's count of changes, from 1; 0 is before the first.
using Revision = uint64_t;

struct Key {
  Kind kind = Kind::kNamespace;
  // Empty for kinds that live in no namespace.
  std::string namespace_name;
  std::string name;

  auto operator<=>(const Key&) const = default;

  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Key& key) {
    return Hash::combine(std::move(hash), key.kind, key.namespace_name, key.name);
  }
};

// "Service shop/cart".
std::string to_string(const Key& key);

using Content = std::shared_ptr<const google::protobuf::Message>;

struct Object {
  Key key;
  // Of the change that wrote this content.
  Revision revision = 0;
  // The proto of the kind, complete with apiVersion, kind and metadata; never null.
  Content content;
};

// The content as its own type: content_as<kubernetes::core::v1::Service>(object), when that is what its kind says.
template <typename Type>
const Type& content_as(const Object& object) {
  return static_cast<const Type&>(*object.content);
}

// The metadata of any kind's message.
const kubernetes::meta::v1::ObjectMeta& metadata_of(const google::protobuf::Message& content);
kubernetes::meta::v1::ObjectMeta* mutable_metadata_of(google::protobuf::Message* content);
// The key under which this content stands.
Key key_of(Kind kind, const google::protobuf::Message& content);

// The annotation that names the file of a watched directory from which an object is; only such objects have it, and
// nobody else may write them. In the store it has the path; what people are shown has the line too.
inline constexpr char kOriginAnnotation[] = "weft.mesh/origin";
// Empty if the object is from no file.
std::string_view origin_of(const google::protobuf::Message& content);
void set_origin(const std::string& origin, google::protobuf::Message* content);

// A copy with the creationTimestamp of `before`, or if that is null of `now_ms` since the epoch: as old as a store
// would make it.
Content with_age(const google::protobuf::Message& content, const google::protobuf::Message* before, int64_t now_ms);

// A copy of `content`, without status, that has what stores set in the metadata of `before`, of the same kind.
std::shared_ptr<google::protobuf::Message> in_place_of(const google::protobuf::Message& before,
                                                       const google::protobuf::Message& content);
// Whether two messages of one type are equal in every field.
bool same_bytes(const google::protobuf::Message& a, const google::protobuf::Message& b);
// Whether two contents of one kind ask for the same: equal but for status and what stores set in metadata.
bool same_intent(const google::protobuf::Message& a, const google::protobuf::Message& b);

}  // namespace weft::control::source
