#include "tests/simulation/wire.h"

#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::simulation {

namespace {

constexpr char kIdentifier[] = "weft-control";

envoy::service::discovery::v3::Resource named(const control::snapshot::Resource& resource) {
  envoy::service::discovery::v3::Resource message;
  message.set_name(resource.name);
  message.set_version(control::snapshot::version_text(resource.version));
  message.mutable_resource()->ParseFromString(resource.any);
  return message;
}

}  // namespace

std::string encode(const control::xds::Response& response, control::xds::Form form) {
  const std::string url(control::snapshot::type_url(response.type));
  if (form == control::xds::Form::kStateOfTheWorld) {
    envoy::service::discovery::v3::DiscoveryResponse message;
    message.set_version_info(response.version);
    message.set_type_url(url);
    message.set_nonce(response.nonce);
    if (response.is_first) message.mutable_control_plane()->set_identifier(kIdentifier);
    for (const auto& resource : response.resources) {
      if (response.is_wrapped) {
        message.add_resources()->PackFrom(named(*resource));
      } else {
        message.add_resources()->ParseFromString(resource->any);
      }
    }
    return message.SerializeAsString();
  }
  envoy::service::discovery::v3::DeltaDiscoveryResponse message;
  message.set_system_version_info(response.version);
  message.set_type_url(url);
  message.set_nonce(response.nonce);
  if (response.is_first) message.mutable_control_plane()->set_identifier(kIdentifier);
  for (const auto& resource : response.resources) *message.add_resources() = named(*resource);
  for (const std::string& name : response.removed) message.add_removed_resources(name);
  return message.SerializeAsString();
}

}  // namespace weft::simulation
