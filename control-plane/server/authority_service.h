#pragma once

// The gRPC service about the certificate authority, for weftctl (api/weft/v1/authority.proto). On the control socket;
// called on gRPC's threads.

#include <mutex>

#include "control-plane/base/clock.h"
#include "control-plane/ca/authority.h"
#include "control-plane/server/rotation.h"
#include "control-plane/server/xds_server.h"
#include "weft/v1/authority.grpc.pb.h"

namespace weft::control::server {

class AuthorityService : public v1::CertificateAuthority::Service {
 public:
  // All outlive it; the authority is null where nobody shows who he is.
  AuthorityService(ca::Authority* authority, XdsServer& xds, base::Clock& clock)
      : authority_(authority), xds_(xds), clock_(clock) {}

  grpc::Status Status(grpc::ServerContext* context, const v1::AuthorityStatusRequest* request,
                      v1::AuthorityStatus* response) override;
  grpc::Status Rotate(grpc::ServerContext* context, const v1::RotateRequest* request,
                      v1::RotateResponse* response) override;
  grpc::Status Issued(grpc::ServerContext* context, const v1::IssuedRequest* request,
                      v1::IssuedResponse* response) override;

 private:
  struct Seen {
    ca::Authority::Standing standing;
    std::vector<ProxyTrust> proxies;
    Rotation rotation;
  };
  absl::StatusOr<Seen> look();

  ca::Authority* const authority_;
  XdsServer& xds_;
  base::Clock& clock_;
  // Whoever rotates decides by what he saw.
  std::mutex rotating_;
};

}  // namespace weft::control::server
