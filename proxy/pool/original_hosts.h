#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "proxy/base/callback.h"
#include "proxy/cluster/host.h"
#include "proxy/event/loop.h"
#include "proxy/event/timer.h"

// The hosts of a cluster that connects to wherever each downstream connection was going (Envoy's ORIGINAL_DST), as one
// worker knows them: made when first asked for, forgotten when nobody asked for some time. Whoever goes through all
// addresses of a network fills it up and no further. Owned by ClusterPools; one thread.

namespace weft::pool {

class OriginalHosts {
 public:
  using Forgotten = absl::flat_hash_set<const cluster::Host*>;
  static constexpr size_t kMostHosts = 16 * 1024;

  // `idle_ms`: what was not asked for between two looks so far apart is forgotten, and told to `on_forgotten`, which
  // is never called from within find(). `port`: in place of the destination's; 0: none.
  OriginalHosts(event::Loop& loop, int64_t idle_ms, uint16_t port, base::Callback<void(const Forgotten&)> on_forgotten);

  // nullptr: there is no room, as so many were asked for lately; or the destination is no IP address.
  cluster::HostPtr find(const transport::Address& destination);
  size_t size() const { return hosts_.size(); }

 private:
  struct Key {
    std::array<uint8_t, 16> ip;
    uint32_t scope_id;
    uint16_t port;
    transport::Address::Family family;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H state, const Key& key) {
      return H::combine(std::move(state), key.ip, key.scope_id, key.port, key.family);
    }
  };
  struct Entry {
    cluster::HostPtr host;
    bool asked_for = true;  // Since the last look.
  };
  void look_over();

  const int64_t idle_ms_;
  const uint16_t port_;
  base::Callback<void(const Forgotten&)> on_forgotten_;
  absl::flat_hash_map<Key, Entry> hosts_;
  event::Timer timer_;
};

}  // namespace weft::pool
