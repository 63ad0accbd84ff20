#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/metrics/v3/stats.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/observe/stats_rules.h"

// stats_config: which metrics are shown, and which parts of their names are labels.

namespace weft::config {

std::shared_ptr<const observe::StatsRules> compile_stats_config(Context& context,
                                                                const envoy::config::metrics::v3::StatsConfig& proto,
                                                                std::string_view path);

}  // namespace weft::config
