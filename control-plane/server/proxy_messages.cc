#include "control-plane/server/proxy_messages.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/node.h"
#include "control-plane/xds/resource_status.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"

namespace weft::control::server {

namespace {

using google::protobuf::util::TimeUtil;
using snapshot::Type;

v1::SyncState state_of(xds::Sync sync) {
  switch (sync) {
    case xds::Sync::kSynced:
      return v1::SYNCED;
    case xds::Sync::kWarming:
      return v1::WARMING;
    case xds::Sync::kStale:
      return v1::STALE;
    case xds::Sync::kNotSent:
      return v1::NOT_SENT;
    case xds::Sync::kRefused:
      return v1::REFUSED;
    case xds::Sync::kMissing:
      return v1::MISSING;
  }
  return v1::UNKNOWN;
}

v1::ProxyRefusal refusal_message(Type type, const std::string& name, const xds::Refusal& refusal) {
  v1::ProxyRefusal out;
  out.set_type(std::string(snapshot::type_name(type)));
  out.set_name(name);
  out.set_version(snapshot::version_text(refusal.version));
  out.set_reason(refusal.reason);
  *out.mutable_time() = TimeUtil::MillisecondsToTimestamp(refusal.wall_ms);
  return out;
}

void show_type(const xds::Hub::Session& session, Type type, v1::ProxyState* out) {
  const std::optional<xds::Sync> sync = xds::type_sync(session, type);
  if (!sync.has_value()) return;
  const xds::Subscription& subscription = session.stream->subscription(type);
  const xds::Counts& counts = session.stream->counts(type);
  v1::ProxyTypeState* state = out->add_types();
  state->set_type(std::string(snapshot::type_name(type)));
  state->set_state(state_of(*sync));
  state->set_resources(subscription.held_count());
  state->set_sent(counts.sent);
  state->set_acknowledged(counts.acknowledged);
  state->set_refused(counts.refused);
  if (*sync != xds::Sync::kRefused) return;
  const auto take = [&](const std::string& name, const xds::Refusal& refusal) {
    const v1::ProxyRefusal message = refusal_message(type, name, refusal);
    const bool is_newer = !out->has_last_refusal() || out->last_refusal().time() < message.time();
    if (is_newer) *out->mutable_last_refusal() = message;
  };
  for (const auto& [name, refusal] : subscription.refusals()) take(name, refusal);
  for (const auto& [key, difference] : session.progress->applied().differences()) {
    if (key.first != type || !difference.reported.refused.has_value()) continue;
    const auto& refused = *difference.reported.refused;
    take(key.second, {refused.version, refused.reason, refused.wall_ms});
  }
}

v1::ProxyState proxy_state(const xds::Hub& hub, const xds::Hub::Session& session) {
  v1::ProxyState out;
  out.set_id(session.node.id());
  // It has been checked when the stream began.
  if (const auto claims = compile::read_node(session.node); claims.ok()) {
    out.set_namespace_(claims->audience.namespace_name);
    out.set_service(claims->service);
  }
  out.set_peer(session.peer);
  *out.mutable_connected() = TimeUtil::MillisecondsToTimestamp(session.connected_wall_ms);
  out.set_delta(session.form == xds::Form::kDelta);
  out.set_reports(session.progress->source() != xds::Progress::Source::kAcknowledgement);
  out.set_applied_revision(session.progress->applied_revision());
  for (const Type type : snapshot::kTypes) show_type(session, type, &out);
  if (const xds::Hub::Report* report = hub.report_of(session)) {
    out.set_version(report->process.version());
    if (report->process.has_started()) *out.mutable_started() = report->process.started();
    out.set_draining(report->process.draining());
  }
  return out;
}

v1::ProxyResource resource_message(Type type, const xds::ResourceStatus& status) {
  v1::ProxyResource out;
  out.set_name(status.name);
  out.set_state(state_of(status.sync));
  if (status.wanted != nullptr) {
    out.set_version(snapshot::version_text(status.wanted->version));
    *out.mutable_content() = without_secrets(*status.wanted);
  }
  const auto text = [](uint64_t version) { return version == 0 ? "" : snapshot::version_text(version); };
  out.set_acknowledged_version(text(status.held_version));
  out.set_applied_version(text(status.applied_version));
  out.set_warming_version(text(status.warming_version));
  if (status.refusal.has_value()) *out.mutable_refusal() = refusal_message(type, status.name, *status.refusal);
  return out;
}

// What a session is waited for that owes this push. What it owes of later ones is no reason.
std::string waits_for(const xds::Hub::Session& session, xds::Epoch epoch) {
  // Until it has loaded what there was, nothing else counts.
  if (!session.progress->is_started()) epoch = xds::Applied::kNothing - 1;
  for (const Type type : snapshot::kTypes) {
    if (session.stream->subscription(type).in_flight() && session.stream->acknowledged(type) < epoch)
      return absl::StrCat("has not acknowledged ", std::string(snapshot::type_name(type)), " resources");
  }
  if (session.progress->source() == xds::Progress::Source::kAwaited) return "has not reported what it runs";
  for (const auto& [key, difference] : session.progress->applied().differences()) {
    if (difference.since > epoch) continue;
    return absl::StrCat(std::string(snapshot::type_name(key.first)), " \"", key.second, "\" ",
                        difference.reported.warming_version != 0 ? "is warming" : "is not in force yet");
  }
  return "has not been sent all of it";
}

bool less(const v1::ProxyState& a, const v1::ProxyState& b) {
  return std::pair(a.id(), TimeUtil::TimestampToMilliseconds(a.connected())) <
         std::pair(b.id(), TimeUtil::TimestampToMilliseconds(b.connected()));
}

}  // namespace

v1::ProxyStatusResponse proxy_status(const xds::Hub& hub, const std::string& proxy) {
  v1::ProxyStatusResponse response;
  response.set_revision(hub.rollouts().newest_pushed());
  if (!proxy.empty()) {
    for (const xds::Hub::Session* session : hub.sessions_of(proxy))
      *response.add_proxies() = proxy_state(hub, *session);
  } else {
    for (const auto& [id, session] : hub.sessions()) {
      if (session.stream != nullptr) *response.add_proxies() = proxy_state(hub, session);
    }
  }
  std::sort(response.mutable_proxies()->begin(), response.mutable_proxies()->end(), less);
  return response;
}

absl::StatusOr<v1::ProxyConfigResponse> proxy_config(const xds::Hub& hub, const v1::ProxyConfigRequest& request) {
  const auto type = std::find_if(snapshot::kTypes.begin(), snapshot::kTypes.end(),
                                 [&](Type each) { return snapshot::type_name(each) == request.type(); });
  if (type == snapshot::kTypes.end()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no type \"", request.type(),
                                                   "\", expected cluster, endpoint, secret, listener, route or name"));
  }
  const std::vector<const xds::Hub::Session*> sessions = hub.sessions_of(request.proxy());
  if (sessions.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no proxy \"", request.proxy(), "\" is connected; proxy-status shows those that are"));
  }
  v1::ProxyConfigResponse response;
  for (const xds::Hub::Session* session : sessions) {
    for (const xds::ResourceStatus& status : xds::resource_statuses(*session, *type))
      *response.add_resources() = resource_message(*type, status);
  }
  return response;
}

v1::RolloutProgress rollout_progress(const xds::Hub& hub, xds::Revision revision) {
  const xds::Rollout rollout = hub.rollouts().of(revision);
  v1::RolloutProgress out;
  out.set_revision(revision);
  out.set_state(!rollout.is_done()     ? v1::RolloutProgress::RUNNING
                : rollout.refused != 0 ? v1::RolloutProgress::REFUSED
                                       : v1::RolloutProgress::APPLIED);
  out.set_concerned(rollout.concerned);
  out.set_acknowledged(rollout.acknowledged);
  out.set_applied(rollout.applied);
  out.set_refused(rollout.refused);
  out.set_acknowledged_only(rollout.acknowledged_only);
  for (const xds::Verdict& verdict : rollout.refusals) {
    v1::RolloutProgress::Proxy* proxy = out.add_refusals();
    proxy->set_id(verdict.node);
    proxy->set_reason(verdict.refusal);
  }
  for (const xds::Owing& owing : rollout.pending) {
    const auto session = hub.sessions().find(owing.session);
    if (session == hub.sessions().end()) continue;
    v1::RolloutProgress::Proxy* proxy = out.add_pending();
    proxy->set_id(session->second.node.id());
    proxy->set_reason(waits_for(session->second, owing.epoch));
  }
  std::sort(out.mutable_pending()->begin(), out.mutable_pending()->end(),
            [](const auto& a, const auto& b) { return a.id() < b.id(); });
  return out;
}

google::protobuf::Any without_secrets(const snapshot::Resource& resource) {
  google::protobuf::Any any;
  any.ParseFromString(resource.any);
  if (resource.type != Type::kSecret) return any;
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  any.UnpackTo(&secret);
  // What may be seen is copied, so that nothing new slips through.
  envoy::extensions::transport_sockets::tls::v3::Secret shown;
  shown.set_name(secret.name());
  if (secret.has_tls_certificate())
    *shown.mutable_tls_certificate()->mutable_certificate_chain() = secret.tls_certificate().certificate_chain();
  if (secret.has_validation_context()) *shown.mutable_validation_context() = secret.validation_context();
  any.PackFrom(shown);
  return any;
}

}  // namespace weft::control::server
