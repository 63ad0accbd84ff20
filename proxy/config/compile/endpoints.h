#pragma once

#include <string_view>
#include <vector>

#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "proxy/config/compile/context.h"

// The endpoints of a ClusterLoadAssignment whose addresses are addresses, by priority.

namespace weft::config {

namespace endpoint_v3 = envoy::config::endpoint::v3;

using HostLists = std::vector<std::vector<cluster::HostPtr>>;

HostLists compile_hosts(Context& context, const endpoint_v3::ClusterLoadAssignment& assignment, std::string_view path);

// Calls take(endpoint, priority, weight, path of the endpoint) for each of them, after reporting what is out of range.
template <typename Take>
void each_endpoint(Context& context, const endpoint_v3::ClusterLoadAssignment& assignment, std::string_view path,
                   Take take) {
  for (int i = 0; i < assignment.endpoints_size(); ++i) {
    const endpoint_v3::LocalityLbEndpoints& locality = assignment.endpoints(i);
    std::string at_locality = at(path, "endpoints", i);
    if (locality.priority() > 127) {
      context.error(field_path(at_locality, "priority"), "expected 0 to 127");
      continue;
    }
    for (int j = 0; j < locality.lb_endpoints_size(); ++j) {
      const endpoint_v3::LbEndpoint& each = locality.lb_endpoints(j);
      std::string here = at(at_locality, "lb_endpoints", j);
      uint32_t weight = WEFT_VALUE_OR(each, load_balancing_weight, 1);
      if (weight == 0) {
        context.error(field_path(here, "load_balancing_weight"), "expected at least 1");
        weight = 1;
      }
      take(each, locality.priority(), weight, here);
    }
  }
}

}  // namespace weft::config
