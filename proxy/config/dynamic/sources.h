#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/xds/stand_in.h"
#include "proxy/config/xds/subscription.h"
#include "proxy/event/loop.h"

// The sources that the configuration names, and what is wanted of each. A source is made when something of it is wanted
// for the first time, and gets the names of a turn at once; what an update makes wanted is asked for before the update
// is answered. Main thread.

namespace weft::config {

// Who takes what the sources bring. `source` is a serialised ConfigSource.
class Intake {
 public:
  virtual std::vector<xds::Refusal> on_update(const std::string& source, xds::Type type, const xds::Update& update) = 0;
  virtual void on_fetch_timeout(const std::string& source, xds::Type type, const std::vector<std::string>& names) = 0;

 protected:
  ~Intake() = default;
};

class Sources {
 public:
  // Makes the source that a serialised ConfigSource describes. Never nullptr: the compiler has accepted it.
  using Make = std::function<std::unique_ptr<xds::Source>(const std::string& source, xds::Type type, xds::Consumer&)>;
  // `stand_in` may be nullptr.
  Sources(event::Loop& loop, Intake& intake, Make make, xds::StandIn* stand_in = nullptr)
      : intake_(intake),
        make_(std::move(make)),
        stand_in_(stand_in),
        timer_(loop.timers(), base::bind<&Sources::end_turn>(this)) {}

  // All that the source has of a type of which all is wanted.
  void want_all(const std::string& source, xds::Type type);
  // Each want() is ended by one unwant().
  void want(const std::string& source, xds::Type type, const std::string& name);
  void unwant(const std::string& source, xds::Type type, const std::string& name);
  bool any() const { return !subscriptions_.empty(); }
  // Lets every source go; nothing is wanted or given up after that.
  void stop();

 private:
  using Key = std::pair<std::string, xds::Type>;
  struct Subscription final : xds::Consumer {
    Subscription(Sources& owner, Key key) : owner(owner), key(std::move(key)) {}
    std::vector<xds::Refusal> on_update(xds::Type, const xds::Update& update) override {
      return owner.taken(key, update);
    }
    void on_fetch_timeout(xds::Type, const std::vector<std::string>& names) override { owner.late(*this, names); }
    Sources& owner;
    Key key;
    std::map<std::string, uint32_t> names;  // How often each is wanted.
    std::set<std::string> given;            // What has come.
    // Since it was last asked: given up, and of these wanted again by one who has not what came before.
    std::set<std::string> dropped, renewed;
    std::unique_ptr<xds::Source> source;
  };
  Subscription& subscription(const std::string& source, xds::Type type);
  // Gives an update to the intake, and asks for what is wanted since.
  std::vector<xds::Refusal> taken(const Key& key, const xds::Update& update);
  // Some names did not come in time.
  void late(Subscription& subscription, std::vector<std::string> names);
  // Takes what the stand-in has of these names, and takes them off the list; of no names: all. Whether it had anything.
  bool restore(Subscription& subscription, std::vector<std::string>* names);
  static bool ends(const Subscription& subscription);
  void subscribe(Subscription& subscription);
  void end_turn();

  Intake& intake_;
  Make make_;
  xds::StandIn* const stand_in_;
  std::map<Key, std::unique_ptr<Subscription>> subscriptions_;
  std::set<Key> changed_;
  bool stopped_ = false;
  event::Timer timer_;  // The turn is over in which names changed.
};

}  // namespace weft::config
