#include "control-plane/server/identity_service.h"

#include <google/protobuf/util/time_util.h>

#include <string>

#include "control-plane/ca/csr.h"
#include "control-plane/xds/caller.h"
#include "control-plane/xds/grpc_status.h"

namespace weft::control::server {

namespace {

using google::protobuf::util::TimeUtil;

std::string kind_text(xds::Credential::Kind kind) {
  switch (kind) {
    case xds::Credential::Kind::kToken:
      return "token";
    case xds::Credential::Kind::kCertificate:
      return "certificate";
    case xds::Credential::Kind::kServiceAccount:
      return "kubernetes";
    case xds::Credential::Kind::kNone:
      break;
  }
  return "";
}

}  // namespace

absl::Status IdentityService::sign(const xds::Shown& shown, const std::string& peer, const v1::SignRequest& request,
                                   v1::SignResponse* response) {
  const absl::StatusOr<xds::Credential> credential = admission_.authenticate(shown);
  if (!credential.ok()) return credential.status();
  // Before the node is let in: a request that cannot be read costs no use of a token.
  const absl::StatusOr<ca::Key> key = ca::read_request(request.csr());
  if (!key.ok()) return key.status();
  absl::StatusOr<ca::Identity> identity = admission_.identify(*credential, request.node());
  if (!identity.ok()) return identity.status();
  const ca::Authority::Applicant applicant{.identity = *std::move(identity),
                                           .node = request.node().id(),
                                           .peer = peer,
                                           .origin = credential->origin,
                                           .shown = kind_text(credential->kind)};
  absl::StatusOr<ca::Authority::Signed> made = authority_.sign(applicant, **key);
  if (!made.ok()) return made.status();
  for (std::string& each : made->chain_der) response->add_chain(std::move(each));
  response->set_spiffe_id(made->spiffe_id);
  *response->mutable_not_before() = TimeUtil::MillisecondsToTimestamp(made->not_before_ms);
  *response->mutable_not_after() = TimeUtil::MillisecondsToTimestamp(made->not_after_ms);
  *response->mutable_renew_at() = TimeUtil::MillisecondsToTimestamp(made->renew_at_ms);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* IdentityService::Sign(grpc::CallbackServerContext* context, const v1::SignRequest* request,
                                                v1::SignResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const xds::Caller caller(*context);
  reactor->Finish(xds::to_grpc(sign(caller.shown(), context->peer(), *request, response)));
  return reactor;
}

}  // namespace weft::control::server
