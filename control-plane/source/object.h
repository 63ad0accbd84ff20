#pragma once

// Objects as the stores hold them: the kinds that there are, an object's key, its content. Objects are immutable and
// shared; any thread may read one.

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::source {

enum class Kind : uint8_t {
  kNamespace,
  kService,
  kEndpointSlice,
  kExternalService,
  kHttpRoute,
  kGrpcRoute,
  kTcpRoute,
  kTlsRoute,
  kReferenceGrant,
  kTrafficPolicy,
};
inline constexpr int kKindCount = 10;

// "Service", as `kind:` has it.
std::string_view kind_name(Kind kind);

// A store's count of changes, from 1; 0 is before the first.
using Revision = uint64_t;

struct Key {
  Kind kind = Kind::kNamespace;
  // Empty for kinds that live in no namespace.
  std::string namespace_name;
  std::string name;

  auto operator<=>(const Key&) const = default;
};

// "Service shop/cart".
std::string to_string(const Key& key);

struct Object {
  Key key;
  // Of the change that wrote this content.
  Revision revision = 0;
  // The proto of the kind, complete with apiVersion, kind and metadata.
  std::shared_ptr<const google::protobuf::Message> content;
};

}  // namespace weft::source
