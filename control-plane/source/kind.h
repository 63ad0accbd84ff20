#pragma once

// The kinds of objects that there are. Constant data; any thread.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::control::source {

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
  kScope,
  kPeerAuthentication,
  kAuthorizationPolicy,
  kRequestAuthentication,
  kExternalAuthorizer,
};

struct KindInfo {
  Kind kind;
  std::string_view name;  // "HTTPRoute", as `kind:` has it
  // "" is Kubernetes' core group.
  std::string_view group;
  // Those that are taken; the first is the one that is meant when none is said.
  std::span<const std::string_view> versions;
  std::string_view plural;      // "httproutes"
  std::string_view short_name;  // "svc"; empty if it has none
  bool in_namespace;
  const google::protobuf::Message* prototype;
};

// In the order in which a person reads them; the position is the Kind.
std::span<const KindInfo> all_kinds();
const KindInfo& kind_info(Kind kind);
inline std::string_view kind_name(Kind kind) { return kind_info(kind).name; }

// Null if there is none. By apiVersion ("apps/v1", "v1") and kind as an object has them.
const KindInfo* find_kind(std::string_view api_version, std::string_view kind);
// By group and kind as a reference has them.
const KindInfo* find_kind_of_group(std::string_view group, std::string_view kind);
// By name, plural or short name in any case, as on a command line.
const KindInfo* find_kind_by_word(std::string_view word);

std::unique_ptr<google::protobuf::Message> make_message(Kind kind);

}  // namespace weft::control::source
