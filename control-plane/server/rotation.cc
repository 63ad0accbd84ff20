#include "control-plane/server/rotation.h"

#include <algorithm>
#include <map>

#include "absl/time/time.h"
#include "api/text/cat.h"
#include "control-plane/server/node_secrets.h"
#include "control-plane/xds/resource_status.h"

namespace weft::control::server {

using text::cat;

namespace {

constexpr size_t kMaxBlockers = 20;

std::string time_text(int64_t ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

std::string why_not(const xds::ResourceStatus& status) {
  switch (status.sync) {
    case xds::Sync::kRefused:
      return cat("refuses them: ", status.refusal.has_value() ? status.refusal->reason : "without a reason");
    case xds::Sync::kWarming:
      return "has acknowledged them, and does not run them yet";
    case xds::Sync::kStale:
      return "was sent them, and has not acknowledged them";
    default:
      return "has not been sent them";
  }
}

RotationPhase phase_of(const ca::Authority::Standing& standing) {
  RotationPhase phase = RotationPhase::kSteady;
  for (const auto& each : standing.generations) {
    if (each.record.stage == ca::Stage::kTrusted) phase = RotationPhase::kTrusting;
    if (each.record.stage == ca::Stage::kRetiring) phase = RotationPhase::kRetiring;
  }
  return phase;
}

void add_proxies(const std::vector<ProxyTrust>& proxies, std::vector<std::string>* blockers) {
  size_t others = 0;
  for (const ProxyTrust& each : proxies) {
    if (each.is_current) continue;
    if (blockers->size() < kMaxBlockers) {
      blockers->push_back(cat("proxy ", each.node, " does not trust the new root: it ", each.why));
    } else {
      ++others;
    }
  }
  if (others > 0) blockers->push_back(cat("and ", others, " other proxies"));
}

}  // namespace

std::vector<ProxyTrust> proxies_trust(const xds::Hub& hub) {
  // A node with several streams trusts when all of them do.
  std::map<std::string, ProxyTrust> by_node;
  for (const auto& [id, session] : hub.sessions()) {
    if (session.stream == nullptr) continue;
    if (!session.stream->subscription(snapshot::Type::kSecret).names().contains(kRootsSecret)) continue;
    ProxyTrust trust{.node = session.node.id(), .is_current = true, .why = {}};
    for (const xds::ResourceStatus& status : xds::resource_statuses(session, snapshot::Type::kSecret)) {
      if (status.name != kRootsSecret) continue;
      trust.is_current = status.sync == xds::Sync::kSynced;
      if (!trust.is_current) trust.why = why_not(status);
    }
    ProxyTrust& known = by_node.try_emplace(trust.node, trust).first->second;
    if (known.is_current) known = std::move(trust);
  }
  std::vector<ProxyTrust> out;
  for (auto& [node, trust] : by_node) out.push_back(std::move(trust));
  return out;
}

Rotation rotation_of(const ca::Authority::Standing& standing, const std::vector<ProxyTrust>& proxies, int64_t now_ms) {
  Rotation out{.phase = phase_of(standing), .next_step = {}, .blockers = {}, .consequence = {}};
  switch (out.phase) {
    case RotationPhase::kSteady:
      out.next_step = standing.is_given
                          ? "none here: the signing certificate is given by --ca-cert, and is replaced there"
                          : "make a new root, and have all proxies trust it beside the one there is";
      break;
    case RotationPhase::kTrusting:
      out.next_step = "sign by the new root";
      add_proxies(proxies, &out.blockers);
      out.consequence = "these proxies refuse whoever shows a certificate below the new root, until they trust it";
      break;
    case RotationPhase::kRetiring:
      out.next_step = "drop the old root";
      for (const auto& each : standing.generations) {
        if (each.record.stage != ca::Stage::kRetiring || each.record.last_not_after_ms <= now_ms) continue;
        out.blockers.push_back(cat(each.live_certificates,
                                   " certificates hang from the old root, the last of them until ",
                                   time_text(each.record.last_not_after_ms)));
      }
      out.consequence = "all proxies, and weft-control, refuse the workloads that still show one of these certificates";
      break;
  }
  return out;
}

absl::StatusOr<std::string> rotate(RotationPhase phase, ca::Authority& authority) {
  absl::Status status;
  std::string done;
  switch (phase) {
    case RotationPhase::kSteady:
      status = authority.begin_rotation();
      done = "a new root is made, and all proxies are told to trust it";
      break;
    case RotationPhase::kTrusting:
      status = authority.switch_signing();
      done = "the new root signs; the old one is trusted until nothing hangs from it";
      break;
    case RotationPhase::kRetiring:
      status = authority.finish_rotation();
      done = "the old root is dropped, and its key is removed";
      break;
  }
  if (!status.ok()) return status;
  return done;
}

}  // namespace weft::control::server
