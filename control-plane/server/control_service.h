#pragma once

// The gRPC service that weftctl calls (api/weft/v1/control.proto), before Control. Lives as long as the gRPC server;
// called on gRPC's threads.

#include <optional>
#include <string>

#include "control-plane/ca/tokens.h"
#include "control-plane/server/control.h"
#include "weft/v1/control.grpc.pb.h"

namespace weft::control::server {

class ControlService : public v1::Control::Service {
 public:
  // Join tokens, and the certificate to which they lead: nothing if streams need neither.
  struct Access {
    ca::Tokens* tokens = nullptr;
    std::optional<ca::Digest> fingerprint;
  };

  ControlService(Control* control, Access access, std::string version)
      : control_(control), access_(access), version_(std::move(version)) {}

  grpc::Status Apply(grpc::ServerContext* context, const v1::ApplyRequest* request,
                     v1::ApplyResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request, v1::GetResponse* response) override;
  grpc::Status Delete(grpc::ServerContext* context, const v1::DeleteRequest* request,
                      v1::ApplyResponse* response) override;
  grpc::Status History(grpc::ServerContext* context, const v1::HistoryRequest* request,
                       v1::HistoryResponse* response) override;
  grpc::Status Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                        v1::ApplyResponse* response) override;
  grpc::Status ListWorkloads(grpc::ServerContext* context, const v1::ListWorkloadsRequest* request,
                             v1::ListWorkloadsResponse* response) override;
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                           v1::CreateTokenResponse* response) override;
  grpc::Status ListTokens(grpc::ServerContext* context, const v1::ListTokensRequest* request,
                          v1::ListTokensResponse* response) override;
  grpc::Status RevokeToken(grpc::ServerContext* context, const v1::RevokeTokenRequest* request,
                           v1::RevokeTokenResponse* response) override;
  grpc::Status Analyze(grpc::ServerContext* context, const v1::AnalyzeRequest* request,
                       v1::AnalyzeResponse* response) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override;
  grpc::Status Version(grpc::ServerContext* context, const v1::VersionRequest* request,
                       v1::VersionResponse* response) override;

 private:
  Control* const control_;
  const Access access_;
  const std::string version_;
};

}  // namespace weft::control::server
