#include "proxy/config/dynamic/ledger.h"

#include <utility>

#include "proxy/base/hash.h"

namespace weft::config {

uint64_t content_hash(const google::protobuf::Any& body) {
  return base::xxhash64(body.value(), body.type_url().size());
}

Held hold(const xds::Resource& resource, int64_t wall_ns) {
  return {resource.body, resource.version, content_hash(resource.body), wall_ns};
}

std::optional<ResourceState::Refused> refusal_of(const RefusedResource* refused) {
  if (refused == nullptr) return std::nullopt;
  return ResourceState::Refused{refused->version, refused->reason, refused->wall_ns};
}

UpdateCount::UpdateCount(SharedParts& parts, const std::string& prefix, std::string_view tag_name,
                         const std::string& tag_value)
    : stats_(parts.family<observe::UpdateStats>(prefix, tag_name, tag_value)) {}

void UpdateCount::taken(const std::string& version, bool changed, int64_t wall_ns) {
  version_ = version;
  stats().update_success.add();
  if (changed) stats().config_reload.add();
  stats().update_time.set(wall_ns / 1'000'000);
  // A gauge has a sign, Envoy's has none.
  stats().version.set(static_cast<int64_t>(base::xxhash64(version) >> 1));
}

std::vector<xds::Refusal> Ledger::take(const xds::Update& update, int64_t wall_ns, const Take& take) {
  updates_.begin();
  std::vector<xds::Refusal> refusals;
  std::set<std::string_view> seen;
  bool changed = false;
  for (const xds::Resource& resource : update.changed) {
    std::string reason = seen.insert(resource.name).second ? take(resource, &changed) : "stands twice in the update";
    if (reason.empty()) {
      refused_.erase(resource.name);
      continue;
    }
    refused_.insert_or_assign(resource.name, RefusedResource{resource.body, resource.version, reason, wall_ns});
    refusals.push_back({resource.name, std::move(reason)});
  }
  if (refusals.empty()) {
    updates_.taken(update.version, changed || !update.removed.empty(), wall_ns);
  } else {
    updates_.refused();
  }
  return refusals;
}

std::set<std::string_view> Ledger::forget_untold(const xds::Update& update) {
  std::set<std::string_view> told;
  for (const xds::Resource& resource : update.changed) told.insert(resource.name);
  for (const std::string& name : update.removed) refused_.erase(name);
  if (update.whole) std::erase_if(refused_, [&](const auto& each) { return !told.contains(each.first); });
  return told;
}

}  // namespace weft::config
