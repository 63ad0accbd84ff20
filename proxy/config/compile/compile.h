#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/observe/access_log.h"
#include "proxy/observe/stats_rules.h"
#include "proxy/snapshot/snapshot.h"

// From an Envoy v3 bootstrap to what the proxy runs. Main thread. Nothing is half done: an error means that nothing of
// the file is in force.

namespace weft::config {

class SharedParts;

struct CompileOptions {
  uint32_t workers = 1;            // How many threads count metrics: the main thread is 0, workers follow.
  bool allow_unsupported = false;  // Fields that are known but not supported are warned of and left out of account.
  bool open_files = true;          // False (validation): access logs are checked but not opened.
  // The process makes itself this secret of the aggregated source, and shows it to its control planes. Empty: none.
  std::string own_secret;
};

struct CompiledBootstrap {
  snapshot::SnapshotPtr snapshot;
  // Of the snapshot; nullptr: there is none of this name.
  std::shared_ptr<cluster::Cluster> find_cluster(std::string_view name) const;
  std::string bootstrap;  // As given, serialised (a tenth of the message's memory): for /config_dump.
  bool has_admin = false;
  transport::Address admin_address;
  std::vector<std::shared_ptr<observe::AccessLog>> admin_access_logs;
  uint32_t max_connections = UINT32_MAX;  // Of all listeners together, but for those that do not count.
  std::string node_id, node_cluster, node_zone;
  // dynamic_resources.cds_config and lds_config, each a serialised ConfigSource; empty: none.
  std::string clusters_source, listeners_source;
  // For what is compiled later, with all access logs, for flushing and reopening.
  std::shared_ptr<SharedParts> parts;
  // stats_sinks, each a serialised MetricsServiceConfig, and how often they are told.
  std::vector<std::string> metrics_services;
  int64_t stats_flush_interval_ms = 0;
  // Envoy's stats_config: metrics that are not shown, and Prometheus labels taken out of names. Null: none was given.
  std::shared_ptr<const observe::StatsRules> stats_rules;
  std::vector<std::string> warnings;
};

// Errors name file:line:column and the field's path, several to a message, one a line.
absl::StatusOr<CompiledBootstrap> compile_bootstrap(std::string_view text, std::string_view file_name,
                                                    const CompileOptions& options);

}  // namespace weft::config
