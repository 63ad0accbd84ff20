#pragma once

// What weftctl is told of proxies (api/weft/v1/proxies.proto), made from the hub's state. Pure; the hub's thread.

#include "absl/status/statusor.h"
#include "control-plane/xds/hub.h"
#include "weft/v1/proxies.pb.h"

namespace weft::control::server {

v1::ProxyStatusResponse proxy_status(const xds::Hub& hub, const std::string& proxy);

// NotFound if no proxy of this id has a stream, InvalidArgument if there is no such type; both say what there is.
absl::StatusOr<v1::ProxyConfigResponse> proxy_config(const xds::Hub& hub, const v1::ProxyConfigRequest& request);

// Running, applied or refused, with who is waited for and for what.
v1::RolloutProgress rollout_progress(const xds::Hub& hub, xds::Revision revision);

// The resource as others than its proxy may see it: without private keys, passwords and other secrets.
google::protobuf::Any without_secrets(const snapshot::Resource& resource);

}  // namespace weft::control::server
