#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/dynamic/address_claims.h"
#include "proxy/config/dynamic/inventory.h"
#include "proxy/config/dynamic/ledger.h"
#include "proxy/config/dynamic/listener_needs.h"
#include "proxy/event/loop.h"
#include "proxy/listener/acceptor.h"
#include "proxy/snapshot/retired_chains.h"

// All listeners of the process, those of the bootstrap and those that come, change and go while it runs (LDS). A new or
// changed one takes its place when all that it needs is there; then only connections on filter chains that it does not
// have any more end, within the drain time. What cannot be taken leaves in force what was. Main thread.

namespace weft::config {

// Who brings listeners to the workers. Calls reach every worker in their order.
class ListenerPublisher {
 public:
  // Accepts for this listener, instead of the one of its name that was before. `retired`: the chains that end with that
  // one; nullptr if there was none.
  virtual void listen(std::shared_ptr<const listener::SharedListener> listener,
                      const std::vector<listener::ListenAddressPtr>& addresses,
                      std::shared_ptr<snapshot::RetiredChains> retired) = 0;
  virtual void stop_listener(const std::string& name, std::shared_ptr<snapshot::RetiredChains> retired) = 0;
  // The drain time of these is over.
  virtual void close_retired(std::shared_ptr<snapshot::RetiredChains> retired) = 0;

 protected:
  ~ListenerPublisher() = default;
};

class Listeners {
 public:
  struct Options {
    uint32_t workers = 1;
    int64_t drain_time_ms = 30'000;
    std::shared_ptr<listener::ConnectionLimit> global_connections;
  };
  // Each of `needs` is asked for every listener.
  Listeners(SharedParts& parts, event::Loop& loop, std::vector<ListenerNeeds*> needs, ListenerPublisher& publisher,
            Options options);
  ~Listeners();

  // One of the bootstrap: one can connect from now on, and is served after start().
  absl::Status add_static(std::shared_ptr<const snapshot::Listener> listener);
  // Until the first listeners of this source have come (or it did not answer in time), start()'s callback waits.
  void await(const std::string& source);
  // Asks for what static listeners need; `on_settled` is called once, when all that is awaited has settled.
  void start(std::function<void()> on_settled);
  // Nobody listens any more. Connections live on.
  void stop();
  // Those that a source gave for inbound traffic (traffic_direction) end as removed ones do, and none comes any more.
  // False if there are none.
  bool drain_inbound();
  bool inbound_drained() const;

  std::vector<xds::Refusal> on_update(const std::string& source, const xds::Update& update);
  void on_fetch_timeout(const std::string& source);
  // Ends what has drained. Every half second or so.
  void tick();

  // What runs and what waits for its needs, of one name.
  struct Version {
    std::shared_ptr<const listener::SharedListener> shared;
    Held held;  // Empty for static ones.
    std::vector<listener::ListenAddressPtr> addresses;
    std::vector<AddressClaims::Claim> claims;
    std::vector<std::unique_ptr<ListenerNeed>> needs;
    const snapshot::Listener& listener() const { return *shared->listener; }
  };
  struct Entry {
    bool is_static = false;
    std::unique_ptr<Version> active, warming;  // One of them, or both.
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }
  // Replaced or removed, with connections that have not ended.
  struct Draining {
    std::unique_ptr<Version> version;
    std::shared_ptr<snapshot::RetiredChains> retired;
    bool whole = false;  // None of its chains runs on.
    int64_t deadline_ms = 0;
    bool closed = false;  // The workers were told that the time is over.
  };
  const std::vector<Draining>& draining() const { return draining_; }
  const Ledger& ledger() const { return ledger_; }
  // As Clusters.
  void watch(ResourceWatcher* watcher) { watcher_ = watcher; }
  ResourceState state(const ResourceKey& key) const;
  void visit(const std::function<void(const ResourceKey& key)>& each) const;
  // Names of listeners, for whose needs start()'s callback waits.
  std::vector<std::string> awaited() const;
  std::vector<const observe::FamilyBase*> families() const;
  observe::ListenerManagerStats& stats() { return stats_->of_worker(0); }

 private:
  std::string take_listener(const xds::Resource& resource, bool* changed);
  // Shares, or binds, what the version listens on. Empty, or why not.
  std::string open_addresses(const std::string& name, Version& version);
  listener::ListenAddressPtr open_already(const std::string& name, const snapshot::Listener& listener,
                                          const transport::Address& address) const;
  void remove(const std::string& name);
  void take_away(const std::string& name);
  void begin(const std::string& name, std::unique_ptr<Version> version);
  void look_whether_settled(const std::string& name);
  void activate(const std::string& name);
  // Its sockets go; it itself when its connections have.
  void drain(std::unique_ptr<Version> version, std::shared_ptr<snapshot::RetiredChains> retired);
  std::shared_ptr<snapshot::RetiredChains> retire(const Version& before, const Version* now) const;
  void check_all_settled();
  void tell_if_all_settled();
  void note(const std::string& name);
  void count();

  SharedParts& parts_;
  event::Loop& loop_;
  std::vector<ListenerNeeds*> needs_;
  ListenerPublisher& publisher_;
  ResourceWatcher* watcher_ = nullptr;
  Options options_;
  std::shared_ptr<observe::Family<observe::ListenerManagerStats>> stats_;
  Ledger ledger_;
  AddressClaims claims_;
  std::map<std::string, Entry> entries_;
  std::vector<Draining> draining_;
  // Of listeners that the update at hand removed: one of another name may go on with them.
  std::vector<listener::ListenAddressPtr> left_addresses_;
  bool stopped_ = false;
  bool inbound_over_ = false;
  std::set<std::string> awaited_;  // Listeners, and sources of them, for which on_settled_ waits.
  std::function<void()> on_settled_;
  event::Timer count_timer_;
};

}  // namespace weft::config
