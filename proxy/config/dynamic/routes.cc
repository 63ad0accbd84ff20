#include "proxy/config/dynamic/routes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/compile/resource.h"

namespace weft::config {

class Routes::Need final : public ListenerNeed {
 public:
  Need(Routes& owner, std::function<void()> on_settled) : owner_(owner), on_settled_(std::move(on_settled)) {}
  ~Need() override {
    for (Entry* entry : entries_) owner_.unwant(*entry, *this);
  }
  void want(const snapshot::HttpConnectionManager& manager) {
    Entry& entry = owner_.want(manager, *this);
    entries_.push_back(&entry);
    if (!entry.settled) ++unsettled_;
  }
  bool settled() const override { return unsettled_ == 0; }
  void entry_settled() {
    if (--unsettled_ == 0) std::exchange(on_settled_, nullptr)();
  }

 private:
  Routes& owner_;
  std::function<void()> on_settled_;
  std::vector<Entry*> entries_;
  size_t unsettled_ = 0;
};

std::unique_ptr<ListenerNeed> Routes::need(const snapshot::Listener& listener, std::function<void()> on_settled) {
  auto need = std::make_unique<Need>(*this, std::move(on_settled));
  each_chain(listener, [&](const auto& chain) {
    if (chain->http != nullptr && chain->http->route_slot != nullptr) need->want(*chain->http);
  });
  return need;
}

Routes::Entry& Routes::want(const snapshot::HttpConnectionManager& manager, Need& need) {
  const route::RouteSlotPtr& slot = manager.route_slot;
  auto found = entries_.find(slot->key());
  if (found == entries_.end()) {
    UpdateCount updates(parts_, absl::StrCat("http.", manager.stat_prefix, ".rds.", slot->name(), "."),
                        "envoy_rds_route_config", slot->name());
    found = entries_.emplace(slot->key(), Entry(slot, std::move(updates))).first;
  }
  found->second.needs.insert(&need);
  sources_.want(slot->source(), xds::Type::kRoutes, slot->name());
  return found->second;
}

void Routes::unwant(Entry& entry, Need& need) {
  entry.needs.erase(entry.needs.find(&need));
  sources_.unwant(entry.slot->source(), xds::Type::kRoutes, entry.slot->name());
  if (!entry.needs.empty()) return;
  // The slot's number is used again when the last connection that refers to it is gone; then it must be empty.
  if (entry.table != nullptr) publisher_.assign_routes(entry.slot, nullptr);
  note(*entry.slot);
  entries_.erase(entries_.find(entry.slot->key()));
}

std::vector<xds::Refusal> Routes::on_update(const std::string& source, const xds::Update& update) {
  std::vector<xds::Refusal> refusals;
  // What a server takes away while a listener needs it stays: removal is the listener's business.
  for (const xds::Resource& resource : update.changed) {
    route::RouteSlot::Key key(source, resource.name);
    auto found = entries_.find(key);
    if (found == entries_.end()) continue;  // Nobody has asked for it.
    std::string reason = take(found->second, resource);
    if (reason.empty()) {
      settle(key);
    } else {
      refusals.push_back({resource.name, std::move(reason)});
    }
  }
  return refusals;
}

std::string Routes::take(Entry& entry, const xds::Resource& resource) {
  int64_t wall_ns = loop_.wall_ns();
  bool same = entry.table != nullptr && entry.held.hash == content_hash(resource.body);
  // A watched file tells of all of its resources when one of them changes.
  if (same && entry.held.version == resource.version && entry.refused == nullptr) return {};
  entry.updates.begin();
  note(*entry.slot);
  if (!same) {
    auto table = compile_routes_resource(parts_, resource.name, resource.body);
    if (!table.ok()) {
      std::string reason(table.status().message());
      entry.updates.refused();
      entry.refused =
          std::make_unique<RefusedResource>(RefusedResource{resource.body, resource.version, reason, wall_ns});
      return reason;
    }
    entry.table = *std::move(table);
    entry.held = hold(resource, wall_ns);
    publisher_.assign_routes(entry.slot, entry.table);
  }
  entry.held.version = resource.version;
  entry.updates.taken(resource.version, !same, wall_ns);
  entry.refused.reset();
  return {};
}

void Routes::on_fetch_timeout(const std::string& source, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto found = entries_.find({source, name});
    if (found == entries_.end()) continue;
    if (!found->second.settled) found->second.updates.timed_out();
    settle({source, name});
  }
}

void Routes::note(const route::RouteSlot& slot) {
  if (watcher_ != nullptr) watcher_->on_resource_changed({xds::Type::kRoutes, slot.source(), slot.name()});
}

ResourceState Routes::state(const ResourceKey& key) const {
  ResourceState state;
  auto found = entries_.find({key.source, key.name});
  if (found == entries_.end()) return state;
  if (found->second.table != nullptr) state.version = found->second.held.version;
  state.refused = refusal_of(found->second.refused.get());
  return state;
}

void Routes::visit(const std::function<void(const ResourceKey& key)>& each) const {
  for (const auto& [key, entry] : entries_) each({xds::Type::kRoutes, entry.slot->source(), entry.slot->name()});
}

void Routes::settle(const route::RouteSlot::Key& key) {
  auto found = entries_.find(key);
  if (found == entries_.end() || std::exchange(found->second.settled, true)) return;
  // Who becomes settled may drop needs, also this entry with the last of them.
  std::multiset<Need*> waiting = found->second.needs;
  for (Need* need : waiting) {
    found = entries_.find(key);
    if (found == entries_.end()) return;
    if (found->second.needs.contains(need)) need->entry_settled();
  }
}

std::vector<const observe::FamilyBase*> Routes::families() const {
  std::vector<const observe::FamilyBase*> all;
  for (const auto& [key, entry] : entries_) all.push_back(&entry.updates.family());
  return all;
}

}  // namespace weft::config
