#pragma once

// What one node says that it runs, beside what it has acknowledged on one discovery stream: only the resources are kept
// in which the two differ. Pure. Belongs to its session.
//
// Epochs count the pushes of the hub; what a node was sent with one is applied when it says that it runs it, or refuses
// it.

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "control-plane/snapshot/resource.h"

namespace weft::control::xds {

// Of one resource, in the node's words. All of it empty: the node does not have it.
struct Reported {
  struct Refused {
    // 0: none of ours.
    uint64_t version = 0;
    std::string reason;
    int64_t wall_ms = 0;
  };
  // In force.
  uint64_t version = 0;
  uint64_t warming_version = 0;
  std::optional<Refused> refused;
};

class Applied {
 public:
  using Key = std::pair<snapshot::Type, std::string>;

  struct Difference {
    Reported reported;
    // The push since which it is awaited; kNothing: it keeps nothing up.
    uint64_t since = kNothing;
  };
  static constexpr uint64_t kNothing = UINT64_MAX;

  // The node acknowledged that it holds `version` instead of `before`, by a push after `epoch`; 0 is none.
  void on_acknowledged(snapshot::Type type, const std::string& name, uint64_t before, uint64_t version, uint64_t epoch);
  // `held` is what it has acknowledged.
  void on_report(snapshot::Type type, const std::string& name, Reported reported, uint64_t held);
  void clear();
  // Keeps only those of which `wanted(type, name)` is true.
  template <typename Wanted>
  void forget_unless(Wanted&& wanted) {
    for (auto at = differences_.begin(); at != differences_.end();) {
      const auto next = std::next(at);
      if (!wanted(at->first.first, at->first.second)) erase(at);
      at = next;
    }
  }

  // The newest push of which everything is applied, of those up to `acknowledged`.
  uint64_t through(uint64_t acknowledged) const;
  const std::map<Key, Difference>& differences() const { return differences_; }
  // Null: as it was acknowledged.
  const Difference* find(snapshot::Type type, const std::string& name) const;

 private:
  void set_since(Difference& difference, uint64_t since);
  void erase(std::map<Key, Difference>::iterator at);

  std::map<Key, Difference> differences_;
  // How many of them wait since a push.
  std::map<uint64_t, size_t> since_;
};

}  // namespace weft::control::xds
