#pragma once

#include <string>
#include <vector>

#include "proxy/config/compile/context.h"

// Where the bootstrap wants the metrics pushed: Envoy's metrics service is the one sink there is.

namespace weft::config {

// Each a serialised MetricsServiceConfig, in their order.
std::vector<std::string> compile_stats_sinks(Context& context);
// From one flush to the next, milliseconds.
int64_t compile_stats_flush_interval_ms(Context& context);

}  // namespace weft::config
