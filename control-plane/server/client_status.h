#pragma once

// Envoy's client status discovery (CSDS): what each client was given, and what it said of it. Pure; the hub's thread.

#include "absl/status/statusor.h"
#include "control-plane/xds/hub.h"
#include "envoy/service/status/v3/csds.pb.h"

namespace weft::control::server {

// The clients that one of the request's matchers takes, all if it has none. InvalidArgument names a matcher that is not
// supported. Secrets are told without what is secret in them.
absl::StatusOr<envoy::service::status::v3::ClientStatusResponse> client_status(
    const xds::Hub& hub, const envoy::service::status::v3::ClientStatusRequest& request);

}  // namespace weft::control::server
