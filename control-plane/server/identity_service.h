#pragma once

// weft.v1.Identity on gRPC: signs for whom the admission lets in. Thin; gRPC's threads. Lives as long as the server.

#include "control-plane/ca/authority.h"
#include "control-plane/server/admission.h"
#include "weft/v1/identity.grpc.pb.h"

namespace weft::control::server {

class IdentityService : public v1::Identity::CallbackService {
 public:
  // Both outlive it.
  IdentityService(Admission& admission, ca::Authority& authority) : admission_(admission), authority_(authority) {}

  grpc::ServerUnaryReactor* Sign(grpc::CallbackServerContext* context, const v1::SignRequest* request,
                                 v1::SignResponse* response) override;

 private:
  absl::Status sign(const xds::Shown& shown, const std::string& peer, const v1::SignRequest& request,
                    v1::SignResponse* response);

  Admission& admission_;
  ca::Authority& authority_;
};

}  // namespace weft::control::server
