#pragma once

// What a simulated proxy holds of the mesh: the consumer behind its conversations. Some proxies refuse resources by
// their content; some ask for everything and some, as gRPC's own clients, by name from listeners on. Behind it may
// stand the proxy's real clusters (applied.h). After every update it is checked that what is held fits together. One
// thread.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/xds/subscription.h"
#include "tests/simulation/applied.h"
#include "tests/simulation/references.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Holder final : public config::xds::Consumer {
 public:
  using Type = config::xds::Type;
  struct Options {
    std::string name;
    // Of 1000 resources, how many are refused; which, is a matter of `salt` and content.
    uint64_t refused_per_mille = 0;
    uint64_t salt = 0;
    // Its refusals do not say what is meant.
    bool vague = false;
    // Empty: all listeners and clusters are wanted. Else these listeners, and what they lead to.
    std::vector<std::string> listeners;
    // Types come on one stream, so that their order means something.
    bool aggregated = true;
    // With the proxy's real clusters behind it.
    bool real_clusters = false;
  };
  // What is wanted of a type has become this.
  using Subscribe = std::function<void(Type type, std::vector<std::string> names)>;

  Holder(World& world, References& references, Options options, Subscribe subscribe);
  ~Holder();

  // Asks for what is wanted from the start.
  void start();

  std::vector<config::xds::Refusal> on_update(Type type, const config::xds::Update& update) override;
  void on_fetch_timeout(Type type, const std::vector<std::string>& names) override;

  bool refuses(const std::string& name, uint64_t version) const;
  // By name, the version held.
  const std::map<std::string, uint64_t>& held(Type type) const { return held_[index(type)]; }
  bool wants_all() const { return options_.listeners.empty(); }
  const std::set<std::string>& wanted(Type type) const { return wanted_[index(type)]; }
  // The real clusters, where there are any.
  const Applied* applied() const { return applied_.get(); }
  // Of everything held.
  uint64_t fingerprint() const;

 private:
  static size_t index(Type type) { return static_cast<size_t>(type); }

  void take(Type type, const config::xds::Update& update);
  void drop(Type type, const std::string& name);
  void find_wants();
  void want(Type type, std::set<std::string> names);
  void find_ready();
  void check(Type updated);
  bool is_excused(Type type, const std::string& name) const;
  const std::vector<std::string>& references(Type type, const std::string& name) const;

  World& world_;
  References& known_references_;
  const Options options_;
  const Subscribe subscribe_;
  std::array<std::map<std::string, uint64_t>, config::xds::kTypes> held_;
  // What each of these names, by the version held.
  std::array<std::map<std::string, const std::vector<std::string>*>, config::xds::kTypes> names_;
  std::array<std::set<std::string>, config::xds::kTypes> wanted_;
  // Of what was given last under a name nothing was taken.
  std::array<std::set<std::string>, config::xds::kTypes> stale_;
  // Clusters that could be used once they were held: their endpoints came, or were awaited in vain. A newer version
  // takes their place only when it can be used, too.
  std::set<std::string> ready_;
  // Clusters that were refused before they could be used, or whose endpoints were, so that routes to them are older;
  // and those that went while their newest version was refused: the state-of-the-world form cannot say of one that it
  // is to stay as it was.
  std::set<std::string> late_;
  // Endpoints that nobody waits for any longer.
  std::set<std::string> timed_out_;
  std::unique_ptr<Applied> applied_;
};

}  // namespace weft::simulation
