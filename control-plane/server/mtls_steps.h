#pragma once

// Services whose callers are to change between mutual TLS and plain text, as a PeerAuthentication says, so that no call
// fails by it: first their workloads take both, then callers are told, and then workloads take only what the mode says.
// A step is over when all whom it concerned run it, or after a time, whoever is stuck. Decides, and does nothing else.
// One thread, the mesh's.
//
// It outlives a control plane that is killed, by what is known of callers (CallState), which is kept on the disk: what
// they may do before they are told to, and what all of them do before workloads refuse anything else. What is kept and
// what the model says then tell, whenever the control plane starts, which changes go on: a change is where the two are
// different, or where some callers were told. So the commit that asks for it and what is kept need not be written
// together, and what is in force without a change is in force at once. A change that goes on begins again with its
// first step, in which workloads take both, once those who are away may have come back. As a workload refuses only what
// is kept that nobody sends, this is safe wherever it was killed.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/server/call_states.h"
#include "control-plane/xds/rollouts.h"

namespace weft::control::server {

class MtlsSteps {
 public:
  struct Over {
    registry::ServiceName service;
    // Workloads may refuse what nobody sends any more; else callers are to be told now.
    bool is_done = false;
  };
  // To be written to the disk, as a whole; then kept() is to be called.
  struct ToKeep {
    uint64_t ticket = 0;
    std::vector<CallChange> changes;
  };

  // Whether of this service something has yet to go out.
  using Owes = std::function<bool(const registry::ServiceName& service)>;

  // How long a step may take, and how long it goes on when all run it: calls that were begun as before arrive.
  MtlsSteps(int64_t step_ms, int64_t settle_ms) : step_ms_(step_ms), settle_ms_(settle_ms) {}

  // What was kept. Before anything else.
  void restore(CallStates states) { states_ = std::move(states); }
  // Callers of the service are to call in the clear there, and elsewhere by mutual TLS. True if that is a change, which
  // is under way now; one that was begins again with its first step if it is another than it was.
  bool want(const registry::ServiceName& service, const Ports& plain, int64_t now_ms);
  // The service is gone.
  void forget(const registry::ServiceName& service);
  // Until this time no step is over, and nobody is asked to come in the clear alone: proxies may not have come back who
  // were told something before the control plane was started.
  void await_returns(int64_t until_ms) { returned_ms_ = until_ms; }

  bool empty() const { return changes_.empty(); }
  // Services with a change, and where their callers are to call in the clear now.
  std::vector<std::pair<registry::ServiceName, Ports>> called() const;
  // What a workload's port is to ask of its callers now, where this is the mode. PERMISSIVE while they change.
  registry::MtlsMode mode_of(const registry::ServiceName& service, uint16_t app_port, registry::MtlsMode mode) const;

  // What each change has come to has gone out with this push.
  void pushed(xds::Epoch epoch);
  // The steps that are over now.
  std::vector<Over> take_over(int64_t now_ms, const xds::Rollouts& rollouts, const Owes& owes);
  // Once, when the time of await_returns() is over.
  bool take_returned(int64_t now_ms);
  // When take_over() or take_returned() have something to do at the latest, but for those that owe.
  std::optional<int64_t> due_ms(const Owes& owes) const;

  // What is new since the last call; nothing if there is nothing.
  std::optional<ToKeep> take_to_keep();
  // It is on the disk, and all that was taken before it; or cannot be kept, and what it is for goes on without.
  void kept(uint64_t ticket) { kept_ = ticket; }

 private:
  enum class Stage : uint8_t {
    // Workloads are to take both.
    kHolding,
    // They do. That callers are told has to be kept first.
    kPreparing,
    // Callers are to call as wanted.
    kTold,
    // They do, and that has to be kept first.
    kSettling,
  };
  struct Change {
    Stage stage = Stage::kHolding;
    // Where callers are to call in the clear: at the end, and now.
    Ports wanted;
    Ports called;
    int64_t due_ms = 0;
    bool is_run_by_all = false;
    // Nothing until the step has gone out.
    std::optional<xds::Epoch> epoch = std::nullopt;
    // With which goes what has to be kept first.
    uint64_t ticket = 0;
  };

  const CallState& state_of(const registry::ServiceName& service) const;
  void set_state(const registry::ServiceName& service, CallState state);
  void enter(Stage stage, int64_t now_ms, Change& change) const;
  uint64_t keep(const registry::ServiceName& service, CallState state);
  bool is_run(int64_t now_ms, const xds::Rollouts& rollouts, Change& change) const;
  void end_step(const registry::ServiceName& service, Change& change);

  const int64_t step_ms_;
  const int64_t settle_ms_;
  CallStates states_;
  std::map<registry::ServiceName, Change> changes_;
  std::optional<int64_t> returned_ms_;
  // With the ticket after the last one that was taken.
  std::vector<CallChange> to_keep_;
  uint64_t taken_ = 0;
  uint64_t kept_ = 0;
};

}  // namespace weft::control::server
