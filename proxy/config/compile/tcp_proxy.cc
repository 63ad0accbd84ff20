#include "proxy/config/compile/tcp_proxy.h"

#include "proxy/config/compile/access_log.h"

namespace weft::config {
namespace {

namespace tcp_v3 = envoy::extensions::filters::network::tcp_proxy::v3;

void add_destination(Context& context, const std::string& name, uint32_t weight, std::string_view path,
                     snapshot::TcpProxy& result) {
  snapshot::TcpProxy::Destination destination;
  destination.name = name;
  destination.cluster = context.cluster(name, path);
  destination.weight = weight;
  result.total_weight += weight;
  result.destinations.push_back(std::move(destination));
}

}  // namespace

std::shared_ptr<const snapshot::TcpProxy> compile_tcp_proxy(Context& context, const tcp_v3::TcpProxy& proxy,
                                                            std::string_view path) {
  auto result = std::make_shared<snapshot::TcpProxy>();
  result->stat_prefix = proxy.stat_prefix();
  if (proxy.stat_prefix().empty()) context.error(field_path(path, "stat_prefix"), "is required");

  if (proxy.has_weighted_clusters()) {
    std::string list = field_path(path, "weighted_clusters");
    const auto& clusters = proxy.weighted_clusters().clusters();
    if (clusters.empty()) context.error(list, "names no cluster");
    for (int i = 0; i < clusters.size(); ++i) {
      std::string each = at(list, "clusters", i);
      if (clusters[i].weight() == 0) context.error(field_path(each, "weight"), "must be at least 1");
      add_destination(context, clusters[i].name(), clusters[i].weight(), field_path(each, "name"), *result);
    }
  } else if (proxy.cluster().empty()) {
    context.error(path, "expected cluster or weighted_clusters");
  } else {
    add_destination(context, proxy.cluster(), 1, field_path(path, "cluster"), *result);
  }

  result->idle_timeout_ms = WEFT_MS_OR(proxy, idle_timeout, 3'600'000);
  result->max_connection_duration_ms = WEFT_MS_OR(proxy, max_downstream_connection_duration, 0);
  result->max_connect_attempts = WEFT_VALUE_OR(proxy, max_connect_attempts, 1);
  if (result->max_connect_attempts == 0) {
    context.error(field_path(path, "max_connect_attempts"), "must be at least 1");
  }
  result->access_logs = compile_access_logs(context, proxy.access_log(), path, "access_log");
  result->stats = context.family<observe::TcpStats>("tcp." + result->stat_prefix + ".", "envoy_tcp_prefix",
                                                    result->stat_prefix);
  return result;
}

}  // namespace weft::config
