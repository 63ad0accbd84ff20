#include "control-plane/xds/encode.h"

#include <string>
#include <utility>
#include <vector>

#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::xds {

namespace {

// DiscoveryResponse.resources and DeltaDiscoveryResponse.resources.
constexpr char kResourcesTag = 2 << 3 | 2;
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

std::string envelope(const Response& response, Form form) {
  if (form == Form::kDelta) {
    envoy::service::discovery::v3::DeltaDiscoveryResponse message;
    message.set_system_version_info(response.version);
    message.set_type_url(std::string(snapshot::type_url(response.type)));
    message.set_nonce(response.nonce);
    if (response.is_first) message.mutable_control_plane()->set_identifier(kIdentifier);
    for (const std::string& name : response.removed) message.add_removed_resources(name);
    return message.SerializeAsString();
  }
  envoy::service::discovery::v3::DiscoveryResponse message;
  message.set_version_info(response.version);
  message.set_type_url(std::string(snapshot::type_url(response.type)));
  message.set_nonce(response.nonce);
  if (response.is_first) message.mutable_control_plane()->set_identifier(kIdentifier);
  return message.SerializeAsString();
}

}  // namespace

grpc::ByteBuffer encode(const Response& response, Form form) {
  std::vector<grpc::Slice> slices;
  std::string copied = envelope(response, form);
  for (const ResourcePointer& resource : response.resources) {
    const std::string prefix = form == Form::kDelta  ? resource->delta_prefix
                               : response.is_wrapped ? wrapper(*resource)
                                                     : std::string();
    copied.push_back(kResourcesTag);
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
