#pragma once

// The discovery services on gRPC, the aggregated one and those of one type, in both forms; and the reports of what
// proxies run. Thin: gRPC's threads read
// and write bytes, and all that is decided is decided by the hub, on the thread of `post`.

#include <grpcpp/generic/async_generic_service.h>

#include <functional>

#include "control-plane/xds/hub.h"

namespace weft::control::xds {

class GrpcService : public grpc::CallbackGenericService {
 public:
  // Runs a task on the hub's thread, in the order of the calls; must do so until the server with this service is gone.
  using Post = std::function<void(std::function<void()> task)>;

  GrpcService(Hub& hub, Post post) : hub_(hub), post_(std::move(post)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

 private:
  Hub& hub_;
  Post post_;
};

}  // namespace weft::control::xds
