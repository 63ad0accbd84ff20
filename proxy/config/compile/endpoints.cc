#include "proxy/config/compile/endpoints.h"

#include "proxy/config/compile/identity.h"
#include "proxy/config/compile/transport_matches.h"

namespace weft::config {

HostLists compile_hosts(Context& context, const endpoint_v3::ClusterLoadAssignment& assignment, std::string_view path) {
  HostLists hosts;
  auto take = [&](const endpoint_v3::LbEndpoint& each, uint32_t priority, uint32_t weight, std::string_view here) {
    std::string at_address = field_path(field_path(here, "endpoint"), "address");
    auto host = std::make_shared<cluster::Host>(compile_address(context, each.endpoint().address(), at_address),
                                                each.endpoint().hostname(), weight,
                                                compile_transport_criteria(each.metadata()));
    host->set_identity(compile_workload_identity(each.metadata()));
    core_v3::HealthStatus health = each.health_status();
    if (health == core_v3::UNHEALTHY || health == core_v3::DRAINING || health == core_v3::TIMEOUT) {
      host->set_flag(cluster::Host::kUnhealthyByConfig, true);
    }
    if (health == core_v3::DEGRADED) host->set_flag(cluster::Host::kDegraded, true);
    if (hosts.size() <= priority) hosts.resize(priority + 1);
    hosts[priority].push_back(std::move(host));
  };
  each_endpoint(context, assignment, path, take);
  return hosts;
}

}  // namespace weft::config
