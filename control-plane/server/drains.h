#pragma once

// Workloads that drain, from their proxies' word until nobody calls them any more: what changes by it must be in the
// model, and pushed, and then all whom that push concerned must run it. No I/O. One thread, the hub's.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "control-plane/registry/workload.h"
#include "control-plane/server/mesh.h"
#include "control-plane/snapshot/view.h"
#include "control-plane/xds/rollouts.h"

namespace weft::control::server {

class Drains {
 public:
  // Its proxy says so, perhaps once more, as on a new report stream. `view` is the node's own; nothing as `name`: it is
  // no workload, and nobody calls it.
  void begin(const snapshot::View& view, std::optional<registry::WorkloadName> name);
  // The node is gone.
  void forget(const snapshot::View& view);
  // The newest model has it.
  void on_model(const std::vector<registry::WorkloadName>& draining);

  // After each push, and whenever something was acknowledged or reported. The nodes to tell now, each once.
  std::vector<const snapshot::View*> take_over(const Mesh& mesh, const xds::Rollouts& rollouts);

 private:
  enum class State : uint8_t { kOnItsWay, kInModel, kPushed, kTold };
  struct Drain {
    State state = State::kOnItsWay;
    std::optional<registry::WorkloadName> name;
    // Of the push.
    xds::Epoch epoch = 0;
  };

  absl::flat_hash_map<const snapshot::View*, Drain> drains_;
};

}  // namespace weft::control::server
