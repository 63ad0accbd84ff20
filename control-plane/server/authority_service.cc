#include "control-plane/server/authority_service.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <string>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"
#include "control-plane/xds/grpc_status.h"

namespace weft::control::server {

using google::protobuf::util::TimeUtil;
using text::cat;
using xds::to_grpc;

namespace {

constexpr uint32_t kDefaultIssued = 20;

v1::AuthorityStatus::Phase phase_message(RotationPhase phase) {
  switch (phase) {
    case RotationPhase::kTrusting:
      return v1::AuthorityStatus::TRUSTING;
    case RotationPhase::kRetiring:
      return v1::AuthorityStatus::RETIRING;
    case RotationPhase::kSteady:
      break;
  }
  return v1::AuthorityStatus::STEADY;
}

std::string lines(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& each : texts) text::append(&out, out.empty() ? "" : "\n", each);
  return out;
}

void show(const ca::Authority::Standing& standing, const std::vector<ProxyTrust>& proxies, const Rotation& rotation,
          v1::AuthorityStatus* out) {
  out->set_trust_domain(standing.trust_domain);
  out->set_given(standing.is_given);
  *out->mutable_certificate_ttl() = TimeUtil::MillisecondsToDuration(standing.ttl_ms);
  out->set_phase(phase_message(rotation.phase));
  for (const auto& each : standing.generations) {
    v1::AuthorityRoot* root = out->add_roots();
    root->set_id(each.record.id);
    root->set_stage(std::string(ca::stage_name(each.record.stage)));
    root->set_sha256(each.root_sha256);
    *root->mutable_not_after() = TimeUtil::MillisecondsToTimestamp(each.root_not_after_ms);
    *root->mutable_chain_not_after() = TimeUtil::MillisecondsToTimestamp(each.chain_not_after_ms);
    root->set_live_certificates(each.live_certificates);
    if (each.record.last_not_after_ms != 0) {
      *root->mutable_last_not_after() = TimeUtil::MillisecondsToTimestamp(each.record.last_not_after_ms);
    }
  }
  const auto is_current = [](const ProxyTrust& each) { return each.is_current; };
  out->set_proxies(static_cast<uint32_t>(proxies.size()));
  out->set_proxies_trusting(static_cast<uint32_t>(std::count_if(proxies.begin(), proxies.end(), is_current)));
  out->set_next_step(rotation.next_step);
  for (const std::string& each : rotation.blockers) out->add_blockers(each);
}

}  // namespace

absl::StatusOr<AuthorityService::Seen> AuthorityService::look() {
  if (authority_ == nullptr) {
    return absl::FailedPreconditionError(
        "weft-control runs with --xds-insecure and gives nobody a certificate; start it without, and it has an "
        "authority");
  }
  absl::StatusOr<ca::Authority::Standing> standing = authority_->standing();
  if (!standing.ok()) return standing.status();
  Seen seen{.standing = *std::move(standing), .proxies = {}, .rotation = {}};
  xds_.ask([&seen](xds::Hub& hub) { seen.proxies = proxies_trust(hub); });
  seen.rotation = rotation_of(seen.standing, seen.proxies, clock_.wall_ms());
  return seen;
}

grpc::Status AuthorityService::Status(grpc::ServerContext*, const v1::AuthorityStatusRequest*,
                                      v1::AuthorityStatus* response) {
  const absl::StatusOr<Seen> seen = look();
  if (!seen.ok()) return to_grpc(seen.status());
  show(seen->standing, seen->proxies, seen->rotation, response);
  return grpc::Status::OK;
}

grpc::Status AuthorityService::Rotate(grpc::ServerContext*, const v1::RotateRequest* request,
                                      v1::RotateResponse* response) {
  const std::lock_guard lock(rotating_);
  const absl::StatusOr<Seen> before = look();
  if (!before.ok()) return to_grpc(before.status());
  const Rotation& rotation = before->rotation;
  if (!rotation.blockers.empty() && !request->force()) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            cat("not yet; the next step is to ", rotation.next_step, ", and\n", lines(rotation.blockers),
                "\nwith --force it is done nevertheless, and ", rotation.consequence)};
  }
  const absl::StatusOr<std::string> done = rotate(rotation.phase, *authority_);
  if (!done.ok()) return to_grpc(done.status());
  base::log_info(cat("the root is being replaced: ", *done));
  if (!rotation.blockers.empty()) {
    base::log_warning(cat("this was forced, although ", lines(rotation.blockers)));
    for (const std::string& each : rotation.blockers) response->add_broken(each);
    response->add_broken(rotation.consequence);
  }
  response->set_done(*done);
  const absl::StatusOr<Seen> after = look();
  if (!after.ok()) return to_grpc(after.status());
  show(after->standing, after->proxies, after->rotation, response->mutable_status());
  return grpc::Status::OK;
}

grpc::Status AuthorityService::Issued(grpc::ServerContext*, const v1::IssuedRequest* request,
                                      v1::IssuedResponse* response) {
  if (authority_ == nullptr) return to_grpc(look().status());
  const uint32_t limit = request->limit() == 0 ? kDefaultIssued : request->limit();
  const auto records = authority_->issued(request->of(), limit);
  if (!records.ok()) return to_grpc(records.status());
  for (const ca::IssuedRecord& each : *records) {
    v1::IssuedCertificate* out = response->add_certificates();
    out->set_serial(each.serial);
    out->set_spiffe_id(each.spiffe_id);
    out->set_node(each.node);
    out->set_peer(each.peer);
    out->set_origin(each.origin);
    out->set_shown(each.shown);
    out->set_root(each.generation);
    *out->mutable_issued() = TimeUtil::MillisecondsToTimestamp(each.issued_ms);
    *out->mutable_not_before() = TimeUtil::MillisecondsToTimestamp(each.not_before_ms);
    *out->mutable_not_after() = TimeUtil::MillisecondsToTimestamp(each.not_after_ms);
  }
  return grpc::Status::OK;
}

}  // namespace weft::control::server
