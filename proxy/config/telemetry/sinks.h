#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/telemetry/metrics_stream.h"

// The bootstrap's stats_sinks: each a stream of all metrics to a metrics service. Main thread.

namespace weft::config::telemetry {

class Sinks {
 public:
  struct Options {
    std::vector<std::string> metrics_services;  // As config/compile checked them.
    int64_t flush_interval_ms = 5'000;
    std::string bootstrap;  // Serialised; for the node.
    std::function<cluster::ClusterPtr(const std::string& name)> find_cluster;
  };
  // `context` outlives it.
  Sinks(pool::WorkerContext& context, const Options& options, const MetricsStream::Read& read);

 private:
  std::vector<std::unique_ptr<MetricsStream>> streams_;
};

}  // namespace weft::config::telemetry
