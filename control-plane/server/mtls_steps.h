#pragma once

// Services whose callers are to change between mutual TLS and plain text, as a PeerAuthentication says, so that no call
// fails by it: first their workloads take both, then callers are told, and then workloads take only what the mode says.
// A step is over when all whom it concerned run it, or after a time, whoever is stuck. Decides, and does nothing else.
// One thread, the mesh's.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/xds/rollouts.h"

namespace weft::control::server {

class MtlsSteps {
 public:
  struct Over {
    registry::ServiceName service;
    // All may be as the model says, and the change is no more; else callers are to be told now.
    bool is_done = false;
  };

  // Whether of this service something has yet to go out.
  using Owes = std::function<bool(const registry::ServiceName& service)>;

  // How long a step may take, and how long it goes on when all run it: calls that were begun as before arrive.
  MtlsSteps(int64_t step_ms, int64_t settle_ms) : step_ms_(step_ms), settle_ms_(settle_ms) {}

  // The modes change, and callers of the service's endpoints must change with them. `before` is what held until now. A
  // change that is under way begins again with its first step if callers had been told.
  void begin(const registry::ServiceName& service, const registry::ModelPointer& before, int64_t now_ms);
  // Until this time nobody is asked to come in the clear alone: callers may not have come back who were told to call by
  // TLS before the control plane was started.
  void await_returns(int64_t until_ms) { returned_ms_ = until_ms; }

  bool empty() const { return changes_.empty(); }
  // Those whose callers are not to be told yet.
  std::vector<registry::ServiceName> holding() const;
  // What a workload's port is to ask of its callers now. PERMISSIVE while they change.
  registry::MtlsMode mode_of(const registry::ServiceName& service, uint16_t app_port, const registry::Model& model);

  // What each change has come to has gone out with this push.
  void pushed(xds::Epoch epoch);
  // The steps that are over now.
  std::vector<Over> take_over(int64_t now_ms, const xds::Rollouts& rollouts, const Owes& owes);
  // Once, when the time of await_returns() is over.
  bool take_returned(int64_t now_ms);
  // When take_over() or take_returned() have something to do at the latest, but for those that owe.
  std::optional<int64_t> due_ms(const Owes& owes) const;

 private:
  struct Change {
    bool is_told = false;
    registry::ModelPointer before;
    // The application's ports whose modes have been different since.
    std::set<uint16_t> ports;
    int64_t due_ms = 0;
    bool is_run_by_all = false;
    // Nothing until the step has gone out.
    std::optional<xds::Epoch> epoch = std::nullopt;
  };

  const int64_t step_ms_;
  const int64_t settle_ms_;
  std::map<registry::ServiceName, Change> changes_;
  std::optional<int64_t> returned_ms_;
};

// Whether who calls the one and then the other has to change how.
bool is_called_otherwise(const registry::Endpoints& before, const registry::Endpoints& after);
// `after`, called as before where it was there before.
std::shared_ptr<const registry::Endpoints> called_as_before(const registry::Endpoints& before,
                                                            const registry::Endpoints& after);

}  // namespace weft::control::server
