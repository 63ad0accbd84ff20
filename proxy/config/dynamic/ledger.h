#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config/compile/shared_parts.h"
#include "proxy/config/dynamic/inventory.h"
#include "proxy/config/xds/subscription.h"
#include "proxy/observe/stats.h"

// What is kept alike of resources of every type: what their source gave, what was refused and why, which version is in
// force, and how many updates there were. Main thread.

namespace weft::config {

// A resource as its source gave it.
struct Held {
  google::protobuf::Any body;
  std::string version;
  uint64_t hash = 0;
  int64_t taken_wall_ns = 0;
};
// Equal for resources that are equal.
uint64_t content_hash(const google::protobuf::Any& body);
Held hold(const xds::Resource& resource, int64_t wall_ns);

// The last one of its name that was not taken.
struct RefusedResource {
  google::protobuf::Any body;
  std::string version;
  std::string reason;
  int64_t wall_ns = 0;
};

// For a report; nothing if there is none.
std::optional<ResourceState::Refused> refusal_of(const RefusedResource* refused);

// The updates of one subscription, in Envoy's metrics of it.
class UpdateCount {
 public:
  // `prefix`: "listener_manager.lds." and the like.
  UpdateCount(SharedParts& parts, const std::string& prefix, std::string_view tag_name = "",
              const std::string& tag_value = "");
  void begin() { stats().update_attempt.add(); }
  // `changed`: something else is in force than before.
  void taken(const std::string& version, bool changed, int64_t wall_ns);
  void refused() { stats().update_rejected.add(); }
  void timed_out() { stats().init_fetch_timeout.add(); }
  // Of the last update that was taken whole.
  const std::string& version() const { return version_; }
  const observe::FamilyBase& family() const { return *stats_; }

 private:
  observe::UpdateStats& stats() { return stats_->of_worker(0); }
  std::shared_ptr<observe::Family<observe::UpdateStats>> stats_;
  std::string version_;
};

// Of a type whose sources tell all that there is.
class Ledger {
 public:
  Ledger(SharedParts& parts, const std::string& prefix) : updates_(parts, prefix) {}

  // Empty when the resource is in force or warms, otherwise why not; `changed` if it is other than what was.
  using Take = std::function<std::string(const xds::Resource&, bool* changed)>;
  // Offers each changed resource to `take`. What it refuses is kept, and returned.
  std::vector<xds::Refusal> take(const xds::Update& update, int64_t wall_ns, const Take& take);
  // The names that the update takes away, of those that are `present`.
  template <typename Entries>
  std::vector<std::string> gone(const xds::Update& update, const Entries& present) {
    std::set<std::string_view> told = forget_untold(update);
    std::vector<std::string> names = update.removed;
    if (!update.whole) return names;
    for (const auto& [name, entry] : present) {
      if (!entry.is_static && !told.contains(name)) names.push_back(name);
    }
    return names;
  }
  // Of the entry of this name, if there is one, and of what was refused under it.
  template <typename Entries>
  ResourceState state(const Entries& entries, const std::string& name) const {
    ResourceState state;
    if (auto found = entries.find(name); found != entries.end()) {
      const auto& entry = found->second;
      if (entry.active != nullptr) state.version = entry.active->held.version;
      if (entry.warming != nullptr) state.warming_version = entry.warming->held.version;
    }
    if (auto found = refused_.find(name); found != refused_.end()) state.refused = refusal_of(&found->second);
    return state;
  }
  void timed_out() { updates_.timed_out(); }
  // What was taken turns out not to work.
  void refuse(const Held& held, const std::string& name, std::string reason, int64_t wall_ns) {
    refused_.insert_or_assign(name, RefusedResource{held.body, held.version, std::move(reason), wall_ns});
  }

  const UpdateCount& updates() const { return updates_; }
  // By name. Of some an earlier one is in force.
  const std::map<std::string, RefusedResource>& refused() const { return refused_; }

 private:
  // Refusals of what the update does not speak of any more go. The names that it speaks of.
  std::set<std::string_view> forget_untold(const xds::Update& update);

  UpdateCount updates_;
  std::map<std::string, RefusedResource> refused_;
};

}  // namespace weft::config
