#pragma once

// Which workloads there are, by what their proxies do and say: connect, take their listener, report their application's
// health, drain, and go away. Decides and does nothing else: the time is handed in, and what came of it is taken out as
// changes. Belongs to one thread, that of the discovery streams.
//
// One whose stream ended without a word keeps its place for a time of grace, and so does one that was known before the
// control plane started: who restarts it drops nobody.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control-plane/registry/workload.h"

namespace weft::control::registry {

class Workloads {
 public:
  // Milliseconds; 0 takes away at once whoever is gone.
  explicit Workloads(int64_t grace_ms) : grace_ms_(grace_ms) {}

  // Those of an earlier run, all away as of now. Before anything else.
  void restore(const std::vector<Workload>& workloads, int64_t now_ms);

  // Each stream of the proxy's, and its end. Of `workload` what its node says of itself counts. `is_checked`: its
  // application is not healthy before the proxy says so.
  void connected(const Workload& workload, bool is_checked);
  void disconnected(const WorkloadName& name, int64_t now_ms);
  // The proxy runs its listener for others' calls.
  void set_listening(const WorkloadName& name);
  // What is said of a workload that is not known counts for nothing. `reason` is for people, and cut to 256 bytes.
  void set_health(const WorkloadName& name, bool healthy, const std::string& reason);
  void set_draining(const WorkloadName& name);

  // When advance() has something to do; nothing if it has not.
  std::optional<int64_t> due_ms() const;
  // Takes away those whose time of grace is over.
  void advance(int64_t now_ms);

  // What is different since the last call, each workload once.
  std::vector<WorkloadChange> take_changes();

  const std::map<WorkloadName, Workload>& all() const { return workloads_; }

 private:
  void remove(const WorkloadName& name);
  Workload* find(const WorkloadName& name);

  const int64_t grace_ms_;
  std::map<WorkloadName, Workload> workloads_;
  // Open streams of those that are not away.
  std::map<WorkloadName, int> streams_;
  // When the grace of those that are away is over, the first to end first.
  std::set<std::pair<int64_t, WorkloadName>> grace_;
  std::map<WorkloadName, int64_t> grace_ends_ms_;
  std::set<WorkloadName> changed_;
};

// In a word or two what its calls get: "ready", "starting", "unhealthy: …", "draining", "away"; "unattached" if its
// service, or one of its ports that leads to it, does not exist.
std::string state_of(const Workload& workload, bool is_attached);

}  // namespace weft::control::registry
