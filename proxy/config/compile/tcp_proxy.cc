#include "proxy/config/compile/access_log.h"
#include "proxy/config/compile/network_filters.h"

namespace weft::config {

std::shared_ptr<snapshot::TcpProxy> compile_tcp_proxy(Context& context, const tcp_v3::TcpProxy& proto,
                                                      std::string_view path) {
  auto result = std::make_shared<snapshot::TcpProxy>();
  result->stat_prefix = proto.stat_prefix();
  if (proto.stat_prefix().empty()) context.error(field_path(path, "stat_prefix"), "is empty");
  result->stats = context.parts().family<observe::TcpStats>(text::cat("tcp.", proto.stat_prefix(), "."),
                                                            "envoy_tcp_prefix", proto.stat_prefix());
  // What comes while the proxy runs may come before its cluster: connections wait for none and are closed until then.
  bool must_exist = !context.of_resource();
  switch (proto.cluster_specifier_case()) {
    case tcp_v3::TcpProxy::kCluster:
      result->destinations.push_back(
          {proto.cluster(), context.slot(proto.cluster(), must_exist, field_path(path, "cluster")), 1});
      break;
    case tcp_v3::TcpProxy::kWeightedClusters:
      for (int i = 0; i < proto.weighted_clusters().clusters_size(); ++i) {
        const auto& each = proto.weighted_clusters().clusters(i);
        std::string here = at(field_path(path, "weighted_clusters"), "clusters", i);
        if (each.weight() == 0) context.error(field_path(here, "weight"), "expected at least 1");
        result->destinations.push_back(
            {each.name(), context.slot(each.name(), must_exist, field_path(here, "name")), each.weight()});
      }
      break;
    default:
      context.error(path, "expected cluster or weighted_clusters");
  }
  for (const auto& destination : result->destinations) result->total_weight += destination.weight;
  result->idle_timeout_ms = WEFT_MS_OR(proto, idle_timeout, result->idle_timeout_ms);
  result->max_connection_duration_ms = to_ms(proto.max_downstream_connection_duration());
  result->max_connect_attempts = WEFT_VALUE_OR(proto, max_connect_attempts, 1);
  if (result->max_connect_attempts == 0) context.error(field_path(path, "max_connect_attempts"), "expected at least 1");
  result->access_logs = compile_access_logs(context, proto.access_log(), field_path(path, "access_log"));
  return result;
}

}  // namespace weft::config
