#include "control-plane/xds/encode.h"

#include <string>
#include <utility>
#include <vector>

namespace weft::control::xds {

namespace {

// Fields of DiscoveryResponse and of DeltaDiscoveryResponse, where both are numbered alike.
constexpr int kVersion = 1;
constexpr int kResources = 2;
constexpr int kTypeUrl = 4;
constexpr int kNonce = 5;
constexpr int kControlPlaneOfState = 6;
constexpr int kRemovedOfDelta = 6;
constexpr int kControlPlaneOfDelta = 7;
constexpr int kIdentifierOfControlPlane = 1;
// How we call ourselves: clients of ours look for it (api/weft/v1/report.proto).
constexpr char kIdentifier[] = "weft-control";
constexpr char kWrapperUrl[] = "type.googleapis.com/envoy.service.discovery.v3.Resource";
// Fields of google.protobuf.Any.
constexpr char kAnyTypeUrlTag = 1 << 3 | 2;
constexpr char kAnyValueTag = 2 << 3 | 2;
// Below it a copy costs less than a slice of its own.
constexpr size_t kMinSharedBytes = 2048;

void append_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

grpc::Slice shared_slice(const ResourcePointer& resource) {
  auto* hold = new ResourcePointer(resource);
  void* bytes = const_cast<char*>(resource->any.data());
  return grpc::Slice(bytes, resource->any.size(), [](void* held) { delete static_cast<ResourcePointer*>(held); }, hold);
}

// What stands before a resource's Any in the message Resource, and before that what makes an Any of that message.
std::string wrapper(const snapshot::Resource& resource) {
  std::string out(1, kAnyTypeUrlTag);
  append_varint(sizeof(kWrapperUrl) - 1, out);
  out += kWrapperUrl;
  out += kAnyValueTag;
  append_varint(resource.delta_prefix.size() + resource.any.size(), out);
  return out + resource.delta_prefix;
}

void append_text(int field, std::string_view text, std::string& out) {
  if (text.empty()) return;
  append_varint(field << 3 | 2, out);
  append_varint(text.size(), out);
  out += text;
}

// All but the resources. By hand: a message would be built, and walked by reflection, for each response of each proxy.
std::string envelope(const Response& response, Form form) {
  std::string out;
  append_text(kVersion, response.version, out);
  append_text(kTypeUrl, snapshot::type_url(response.type), out);
  append_text(kNonce, response.nonce, out);
  if (response.is_first) {
    std::string control_plane;
    append_text(kIdentifierOfControlPlane, kIdentifier, control_plane);
    append_text(form == Form::kDelta ? kControlPlaneOfDelta : kControlPlaneOfState, control_plane, out);
  }
  if (form == Form::kStateOfTheWorld) return out;
  for (const std::string& name : response.removed) append_text(kRemovedOfDelta, name, out);
  return out;
}

}  // namespace

grpc::ByteBuffer encode(const Response& response, Form form) {
  std::vector<grpc::Slice> slices;
  std::string copied = envelope(response, form);
  for (const ResourcePointer& resource : response.resources) {
    const std::string prefix = form == Form::kDelta  ? resource->delta_prefix
                               : response.is_wrapped ? wrapper(*resource)
                                                     : std::string();
    append_varint(kResources << 3 | 2, copied);
    append_varint(prefix.size() + resource->any.size(), copied);
    copied += prefix;
    if (resource->any.size() < kMinSharedBytes) {
      copied += resource->any;
      continue;
    }
    slices.emplace_back(copied);
    copied.clear();
    slices.push_back(shared_slice(resource));
  }
  if (!copied.empty()) slices.emplace_back(copied);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace weft::control::xds
