#pragma once

// What flows through the mesh, from the metrics that its proxies stream: counters as they rise and durations as they
// come are put into slots of a few seconds each, by edge. Everything is bounded: proxies, what is remembered of each,
// and edges; what nobody tells of any more is forgotten. Any thread; what is read of a message is read outside the
// lock.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/telemetry/merge.h"
#include "control-plane/telemetry/reading.h"

namespace envoy::service::metrics::v3 {
class StreamMetricsMessage;
}  // namespace envoy::service::metrics::v3

namespace weft::control::telemetry {

class Traffic {
 public:
  struct Limits {
    size_t proxies = 20'000;
    // Of one proxy, and of all together: sets of labels whose last value is remembered.
    size_t series_of_proxy = 4'000;
    size_t series = 1'000'000;
    size_t edges = 20'000;
    // A proxy whose stream ended is remembered so long, so that one that comes back goes on where it was.
    int64_t grace_ms = 120'000;
    // An edge on which nothing happens is forgotten after.
    int64_t idle_ms = 600'000;
  };
  static constexpr int64_t kSlotMs = 5'000;
  static constexpr int64_t kMostWindowMs = 60'000;

  // The clock outlives it.
  explicit Traffic(base::Clock& clock) : Traffic(clock, Limits()) {}
  Traffic(base::Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  // A stream of this proxy's. ResourceExhausted if there are too many.
  absl::StatusOr<uint64_t> open(const Reporter& reporter);
  // The first message of a stream tells where the counters of a proxy that is not remembered stand.
  void take(uint64_t stream, const envoy::service::metrics::v3::StreamMetricsMessage& message);
  void close(uint64_t stream);

  struct Now {
    std::vector<MeasuredEdge> edges;
    // Over which their windows are, in milliseconds; more than 0.
    int64_t window_ms = 0;
    size_t proxies = 0;
    uint64_t dropped_series = 0;
  };
  Now now(int64_t window_ms);

 private:
  static constexpr size_t kSlots = kMostWindowMs / kSlotMs + 1;
  struct Slot {
    int64_t number = -1;
    Sums sums;
    bool saw_none = false;
    bool saw_mutual = false;
  };
  struct EdgeState {
    std::array<Slot, kSlots> slots;
    Sums total;
    int64_t used_ms = 0;
  };
  struct Proxy {
    Reporter reporter;
    // By a hash of name and labels.
    absl::flat_hash_map<uint64_t, uint64_t> last;
    int streams = 0;
    bool is_known = false;
    int64_t ended_ms = 0;
  };
  struct Read {
    uint64_t series = 0;
    Reading reading;
  };

  void apply(Proxy& proxy, const Read& read, int64_t now_ms);
  // How much a counter has risen; 0 where that is not known.
  uint64_t rise(Proxy& proxy, const Read& read);
  // Null: there is no room.
  Slot* slot_of(const Edge& edge, int64_t now_ms, EdgeState** state);
  void forget(int64_t now_ms);

  base::Clock& clock_;
  const Limits limits_;
  std::mutex mutex_;
  // By namespace, service and id.
  std::map<std::string, std::shared_ptr<Proxy>> proxies_;
  std::map<uint64_t, std::shared_ptr<Proxy>> streams_;
  std::map<Edge, EdgeState> edges_;
  uint64_t last_stream_ = 0;
  size_t series_ = 0;
  uint64_t dropped_series_ = 0;
  // When the first message came.
  int64_t began_ms_ = -1;
  int64_t forgot_ms_ = 0;
};

}  // namespace weft::control::telemetry
