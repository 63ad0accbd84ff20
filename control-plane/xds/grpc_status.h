#pragma once

// absl's statuses as gRPC's. Pure; any thread.

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace weft::control::xds {

// Both enumerate the same codes.
inline grpc::Status to_grpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace weft::control::xds
