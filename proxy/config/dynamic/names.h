#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proxy/config/dynamic/ledger.h"
#include "proxy/dns/name_table.h"

// The names that the DNS responder answers, as they come from the control plane (weft.v1.NameTable), a resource for
// each service. One that cannot be taken leaves in force what was. Main thread.

namespace weft::config {

// Who brings names to the responder. Calls reach it in their order.
class NamePublisher {
 public:
  virtual void change_names(std::vector<dns::NameChange> changes) = 0;
  // The source has told all that it has, or did not answer in time.
  virtual void set_names_known() = 0;
  // What the responder counts.
  virtual const observe::FamilyBase& family() const = 0;

 protected:
  ~NamePublisher() = default;
};

class Names {
 public:
  // `publisher` may be nullptr: there is no responder, and nothing is wanted.
  Names(SharedParts& parts, event::Loop& loop, NamePublisher* publisher)
      : ledger_(parts, "names."), loop_(loop), publisher_(publisher) {}

  bool wanted() const { return publisher_ != nullptr; }
  // Calls `on_settled`, once, when the source has answered or its time is over; at once if nothing is wanted.
  void await(std::function<void()> on_settled);
  bool settled() const { return settled_ || !wanted(); }

  std::vector<xds::Refusal> on_update(const xds::Update& update);
  void on_fetch_timeout();

  // What is in force.
  struct Entry {
    static constexpr bool is_static = false;
    Held held;
  };
  // By the resource's name.
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const Ledger& ledger() const { return ledger_; }
  // Those of the responder, too; none if nothing is wanted.
  std::vector<const observe::FamilyBase*> families() const;
  // As Clusters.
  void watch(ResourceWatcher* watcher) { watcher_ = watcher; }
  ResourceState state(const ResourceKey& key) const;
  void visit(const std::function<void(const ResourceKey& key)>& each) const;

 private:
  // Empty, or why not.
  std::string take(const xds::Resource& resource, bool* changed, std::vector<dns::NameChange>* changes);
  void note(const std::string& name);
  void settle();

  Ledger ledger_;
  event::Loop& loop_;
  NamePublisher* const publisher_;
  ResourceWatcher* watcher_ = nullptr;
  std::map<std::string, Entry> entries_;
  bool settled_ = false;
  std::function<void()> on_settled_;
};

}  // namespace weft::config
