#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/dynamic/inventory.h"
#include "weft/v1/report.pb.h"

// What is said on a report stream (weft.v1.ProxyReports), without the stream: what changed in, serialised messages out.
// Only the names of what changed are kept; what is told of them is how they are when it is told, and that is not before
// all workers have it: one round through them confirms what has changed until it begins. Outlives its streams: each new
// one begins with all that runs. Main thread.

namespace weft::config::report {

class Conversation {
 public:
  struct Limits {
    size_t resources_per_message = 500;
    // Sent and not answered; a control plane that is behind finds the newest state, not what was between.
    size_t messages_in_flight = 4;
  };
  // What the process says of itself. A value.
  struct Process {
    std::string version;
    int64_t started_wall_ns = 0;
    bool draining = false;
  };

  // `inventory` outlives it.
  Conversation(const Inventory& inventory, Process process) : Conversation(inventory, std::move(process), Limits()) {}
  Conversation(const Inventory& inventory, Process process, Limits limits);

  // A stream was opened, by a node of this identity.
  void open(const envoy::config::core::v3::Node& node);
  void close();
  void changed(const ResourceKey& key);
  // The workers run. Before that, nothing is told to be in force, but what warms or was refused is.
  void set_serving();
  // At the end of a turn. True: something waits for a round through the workers, which is to begin now; end_round()
  // follows when all of them have done what was posted to them until here. One at a time.
  bool begin_round();
  void end_round();
  void set_draining();
  void set_workload(v1::WorkloadReport::Health health, std::string reason);
  // A message of the control plane's. An error: it is none, and the stream is of no more use.
  absl::Status receive(std::string_view message);
  // The process drains, and the control plane says that all whom it told of this workload know it.
  bool drained() const { return drained_; }
  // What is to be sent now, in order; empty without a stream.
  std::vector<std::string> take();

 private:
  // All that ran when the stream began was told, or does not run yet.
  bool nothing_left() const { return changed_.empty() && unconfirmed_.empty() && (in_round_.empty() || !is_serving_); }
  bool has_news() const {
    return !changed_.empty() || process_changed_ || workload_changed_ || (!complete_ && nothing_left());
  }
  std::string next_message();
  void forget_changes();
  void add_resource(const ResourceKey& key, v1::ReportRequest* request) const;

  const Inventory& inventory_;
  Process process_;
  const Limits limits_;
  v1::WorkloadReport workload_;
  envoy::config::core::v3::Node node_;
  // What changed, each in one of these, or in two if it did so again: since the last round began; before it (while
  // workers do not run yet, all that is to be in force when they do); what all workers have, and is to be told.
  std::set<ResourceKey> unconfirmed_;
  std::set<ResourceKey> in_round_;
  std::set<ResourceKey> changed_;
  uint64_t sent_ = 0;
  uint64_t answered_ = 0;
  bool open_ = false;
  bool is_serving_ = false;
  bool round_runs_ = false;
  bool complete_ = false;  // All that ran when the stream began was told.
  bool process_changed_ = false;
  bool workload_changed_ = false;
  bool drained_ = false;
};

}  // namespace weft::config::report
