#include "control-plane/snapshot/resource.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/text/canonical_bytes.h"
#include "proxy/base/hash.h"

namespace weft::control::snapshot {

namespace {

struct TypeNames {
  std::string_view url;
  std::string_view name;
};

constexpr std::array<TypeNames, kTypeCount> kTypeNames = {{
    {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "cluster"},
    {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "endpoint"},
    {"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "secret"},
    {"type.googleapis.com/envoy.config.listener.v3.Listener", "listener"},
    {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "route"},
    {"type.googleapis.com/weft.v1.NameTable", "name"},
}};

// Fields of google.protobuf.Any and of envoy.service.discovery.v3.Resource, all length-delimited.
constexpr uint32_t kAnyTypeUrl = 1;
constexpr uint32_t kAnyValue = 2;
constexpr uint32_t kResourceVersion = 1;
constexpr uint32_t kResourceContent = 2;
constexpr uint32_t kResourceName = 3;

void append_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_field(uint32_t number, size_t length, std::string& out) {
  append_varint(number << 3 | 2, out);
  append_varint(length, out);
}

}  // namespace

std::string_view type_url(Type type) { return kTypeNames[static_cast<size_t>(type)].url; }
std::string_view type_name(Type type) { return kTypeNames[static_cast<size_t>(type)].name; }

std::optional<Type> type_of_url(std::string_view url) {
  for (const Type type : kTypes) {
    if (type_url(type) == url) return type;
  }
  return std::nullopt;
}

ResourcePointer make_resource(Type type, std::string name, const google::protobuf::Message& message,
                              std::vector<Reference> references) {
  return make_resource(type, std::move(name), text::canonical_bytes(message), std::move(references));
}

ResourcePointer make_resource(Type type, std::string name, std::string_view content,
                              std::vector<Reference> references) {
  auto resource = std::make_shared<Resource>();
  resource->type = type;
  resource->name = std::move(name);
  resource->references = std::move(references);

  const std::string_view url = type_url(type);
  append_field(kAnyTypeUrl, url.size(), resource->any);
  resource->any += url;
  append_field(kAnyValue, content.size(), resource->any);
  resource->any += content;
  resource->any.shrink_to_fit();
  // 0 says that there is no version.
  resource->version = std::max<uint64_t>(1, weft::base::xxhash64(resource->any));

  const std::string version = version_text(resource->version);
  std::string& prefix = resource->delta_prefix;
  append_field(kResourceName, resource->name.size(), prefix);
  prefix += resource->name;
  append_field(kResourceVersion, version.size(), prefix);
  prefix += version;
  append_field(kResourceContent, resource->any.size(), prefix);
  prefix.shrink_to_fit();
  return resource;
}

std::string version_text(uint64_t version) { return absl::StrCat(absl::Hex(version, absl::kZeroPad16)); }

uint64_t parse_version(std::string_view text) {
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version, 16);
  const bool whole = text.size() == 16 && error == std::errc() && end == text.data() + text.size();
  return whole ? version : 0;
}

}  // namespace weft::control::snapshot
