#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/dynamic/ledger.h"
#include "proxy/config/dynamic/listener_needs.h"
#include "proxy/config/dynamic/sources.h"
#include "proxy/route/route_table.h"
#include "proxy/route/slot.h"

// The route tables that come and change while the process runs (RDS). Each is there as long as a listener needs it; one
// that cannot be taken leaves in force what was. Main thread.

namespace weft::config {

// Who brings route tables to the workers. Calls reach every worker in their order.
class RoutePublisher {
 public:
  // From now on new requests of the slot go by this table; nullptr: none of them has a route.
  virtual void assign_routes(const route::RouteSlotPtr& slot, std::shared_ptr<const route::RouteTable> table) = 0;

 protected:
  ~RoutePublisher() = default;
};

class Routes final : public ListenerNeeds {
 public:
  Routes(SharedParts& parts, event::Loop& loop, Sources& sources, RoutePublisher& publisher)
      : parts_(parts), loop_(loop), sources_(sources), publisher_(publisher) {}

  std::unique_ptr<ListenerNeed> need(const snapshot::Listener& listener, std::function<void()> on_settled) override;

  std::vector<xds::Refusal> on_update(const std::string& source, const xds::Update& update);
  void on_fetch_timeout(const std::string& source, const std::vector<std::string>& names);

  class Need;
  struct Entry {
    Entry(route::RouteSlotPtr slot, UpdateCount updates) : slot(std::move(slot)), updates(std::move(updates)) {}
    route::RouteSlotPtr slot;
    UpdateCount updates;
    std::shared_ptr<const route::RouteTable> table;  // nullptr until one was taken.
    Held held;
    std::unique_ptr<RefusedResource> refused;
    bool settled = false;
    std::multiset<Need*> needs;
  };
  const std::map<route::RouteSlot::Key, Entry>& entries() const { return entries_; }
  std::vector<const observe::FamilyBase*> families() const;
  // As Clusters.
  void watch(ResourceWatcher* watcher) { watcher_ = watcher; }
  ResourceState state(const ResourceKey& key) const;
  void visit(const std::function<void(const ResourceKey& key)>& each) const;

 private:
  Entry& want(const snapshot::HttpConnectionManager& manager, Need& need);
  void unwant(Entry& entry, Need& need);
  // Empty, or why not.
  std::string take(Entry& entry, const xds::Resource& resource);
  void note(const route::RouteSlot& slot);
  void settle(const route::RouteSlot::Key& key);

  SharedParts& parts_;
  event::Loop& loop_;
  Sources& sources_;
  RoutePublisher& publisher_;
  ResourceWatcher* watcher_ = nullptr;
  std::map<route::RouteSlot::Key, Entry> entries_;
};

}  // namespace weft::config
