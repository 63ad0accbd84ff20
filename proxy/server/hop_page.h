#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "proxy/observe/hop_metrics.h"

// The metrics of hops as Prometheus exposition, under Istio's names. Main thread; reads what workers write.

namespace weft::server {

// `shown`: whether a metric of this name is wanted; not set: all are.
std::string hops_prometheus(const observe::HopMetrics& metrics, const std::function<bool(std::string_view)>& shown);

}  // namespace weft::server
