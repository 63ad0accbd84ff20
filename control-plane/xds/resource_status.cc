#include "control-plane/xds/resource_status.h"

#include <algorithm>
#include <map>
#include <utility>

namespace weft::control::xds {

namespace {

bool is_refused_late(const Applied::Difference& difference, uint64_t held) {
  return difference.reported.refused.has_value() && difference.reported.refused->version == held && held != 0;
}

Sync sync_of(const ResourceStatus& status, const Applied::Difference* difference, bool in_flight) {
  if (status.refusal.has_value()) return Sync::kRefused;
  const uint64_t wanted = status.wanted == nullptr ? 0 : status.wanted->version;
  if (in_flight) return Sync::kStale;
  if (wanted != status.held_version) return Sync::kNotSent;
  if (difference != nullptr && difference->reported.version != status.held_version) return Sync::kWarming;
  return wanted == 0 ? Sync::kMissing : Sync::kSynced;
}

}  // namespace

std::vector<ResourceStatus> resource_statuses(const Hub::Session& session, Type type) {
  const Subscription& subscription = session.stream->subscription(type);
  std::map<std::string, bool> in_flight;
  const auto add = [&](const std::string& name) { in_flight.try_emplace(name, false); };
  for (const std::string& name : subscription.names()) add(name);
  if (subscription.wildcard()) session.view->for_each_name(type, add);
  subscription.for_each_held([&](const std::string& name, const snapshot::Resource&) { add(name); });
  for (const auto& [name, refusal] : subscription.refusals()) add(name);
  if (const std::vector<Change>* changes = subscription.changes_in_flight()) {
    for (const Change& change : *changes) in_flight[change.name] = true;
  }
  std::vector<ResourceStatus> statuses;
  statuses.reserve(in_flight.size());
  for (const auto& [name, is_in_flight] : in_flight) {
    ResourceStatus status{.name = name, .wanted = session.view->find(type, name), .refusal = std::nullopt};
    status.held_version = status.applied_version = subscription.held_version(name);
    const auto refusal = subscription.refusals().find(name);
    if (refusal != subscription.refusals().end()) status.refusal = refusal->second;
    const Applied::Difference* difference = session.progress->applied().find(type, name);
    if (difference != nullptr) {
      status.applied_version = difference->reported.version;
      status.warming_version = difference->reported.warming_version;
      if (is_refused_late(*difference, status.held_version)) {
        const Reported::Refused& refused = *difference->reported.refused;
        status.refusal = Refusal{refused.version, refused.reason, refused.wall_ms};
      }
    }
    status.sync = sync_of(status, difference, is_in_flight);
    statuses.push_back(std::move(status));
  }
  return statuses;
}

std::optional<Sync> type_sync(const Hub::Session& session, Type type) {
  const Subscription& subscription = session.stream->subscription(type);
  if (!subscription.begun()) return std::nullopt;
  if (!subscription.refusals().empty()) return Sync::kRefused;
  Sync sync = Sync::kSynced;
  for (const auto& [key, difference] : session.progress->applied().differences()) {
    if (key.first != type) continue;
    const uint64_t held = subscription.held_version(key.second);
    if (is_refused_late(difference, held)) return Sync::kRefused;
    if (difference.reported.version != held) sync = Sync::kWarming;
  }
  if (subscription.in_flight()) return Sync::kStale;
  return subscription.owes_more() ? Sync::kNotSent : sync;
}

}  // namespace weft::control::xds
