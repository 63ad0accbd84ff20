#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/callback.h"
#include "proxy/config/xds/subscription.h"
#include "proxy/event/loop.h"

// One deadline per resource, on one timer: initial fetch timeouts, and how long a resource with a TTL lives. One
// thread.

namespace weft::config::xds {

class Deadlines {
 public:
  using Key = std::pair<Type, std::string>;
  // `on_due` gets all that fell due together, by type and name. It may start and stop others.
  Deadlines(event::Loop& loop, base::Callback<void(std::vector<Key>)> on_due);

  // Replaces the one there was. Milliseconds from now.
  void start(const Key& key, int64_t delay_ms);
  void stop(const Key& key);
  bool pending(const Key& key) const { return by_key_.count(key) != 0; }

 private:
  void fire();
  void arm();

  event::Loop& loop_;
  base::Callback<void(std::vector<Key>)> on_due_;
  event::Timer timer_;
  std::map<Key, int64_t> by_key_;
  std::set<std::pair<int64_t, Key>> by_time_;
};

}  // namespace weft::config::xds
