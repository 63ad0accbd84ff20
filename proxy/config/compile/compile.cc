#include "proxy/config/compile/compile.h"

#include <algorithm>
#include <set>

#include "api/text/unsupported.h"
#include "proxy/config/compile/access_log.h"
#include "proxy/config/compile/cluster.h"
#include "proxy/config/compile/config_source.h"
#include "proxy/config/compile/context.h"
#include "proxy/config/compile/listener.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/config/compile/stats_config.h"
#include "proxy/config/compile/stats_sinks.h"
#include "proxy/config/supported/supported.h"

namespace weft::config {
namespace {

std::string join_lines(const std::vector<std::string>& lines) {
  std::string result;
  for (const std::string& line : lines) {
    if (!result.empty()) result += '\n';
    result += line;
  }
  return result;
}

using Clusters = std::vector<cluster::ClusterPtr>;

Clusters compile_clusters(Context& context) {
  Clusters result;
  const auto& clusters = context.bootstrap().static_resources().clusters();
  std::set<std::string> names;
  for (int i = 0; i < clusters.size(); ++i) {
    std::string path = at("static_resources", "clusters", i);
    result.push_back(compile_cluster(context, clusters[i], path));
    if (!names.insert(clusters[i].name()).second) {
      context.error(path, text::cat("there are two clusters \"", clusters[i].name(), "\""));
    }
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a->name() < b->name(); });
  result.shrink_to_fit();
  return result;
}

cluster::ClusterPtr find(const Clusters& clusters, std::string_view name) {
  auto found = std::lower_bound(clusters.begin(), clusters.end(), name,
                                [](const auto& each, std::string_view wanted) { return each->name() < wanted; });
  return found == clusters.end() || (*found)->name() != name ? nullptr : *found;
}

void compile_listeners(Context& context, std::vector<std::shared_ptr<const snapshot::Listener>>& result) {
  const auto& listeners = context.bootstrap().static_resources().listeners();
  std::set<std::string> names;
  for (int i = 0; i < listeners.size(); ++i) {
    std::string path = at("static_resources", "listeners", i);
    auto listener = compile_listener(context, listeners[i], {}, path);
    if (!listeners[i].name().empty() && !names.insert(listeners[i].name()).second) {
      context.error(path, text::cat("there are two listeners \"", listeners[i].name(), "\""));
    }
    result.push_back(std::move(listener));
  }
}

void compile_admin(Context& context, CompiledBootstrap& result) {
  const bootstrap_v3::Admin& admin = context.bootstrap().admin();
  if (!admin.has_address()) return;
  result.has_admin = true;
  result.admin_address = compile_address(context, admin.address(), "admin.address");
  result.admin_access_logs = compile_access_log_path(context, admin.access_log_path(), "admin.access_log_path");
  for (auto& log : compile_access_logs(context, admin.access_log(), "admin.access_log")) {
    result.admin_access_logs.push_back(std::move(log));
  }
}

}  // namespace

std::shared_ptr<cluster::Cluster> CompiledBootstrap::find_cluster(std::string_view name) const {
  return find(snapshot->clusters, name);
}

absl::StatusOr<CompiledBootstrap> compile_bootstrap(std::string_view text, std::string_view file_name,
                                                    const CompileOptions& options) {
  bootstrap_v3::Bootstrap bootstrap;
  text::Source source;
  text::ParseOptions parse_options;
  parse_options.keep_unknown_types = true;
  absl::Status parsed = text::parse(text, file_name, &bootstrap, parse_options, &source);
  if (!parsed.ok()) return parsed;

  CompiledBootstrap result;
  std::vector<std::string> refused;
  for (text::Unsupported& each : text::find_unsupported(bootstrap, supported_fields(), &source.positions)) {
    refused.push_back(std::move(each.message));
  }

  result.parts = std::make_shared<SharedParts>();
  result.parts->options = options;
  Context context(*result.parts, bootstrap, source.positions);
  snapshot::Snapshot snapshot;
  find_control_plane_clusters(context);
  if (bootstrap.dynamic_resources().has_cds_config()) {
    result.clusters_source =
        compile_config_source(context, bootstrap.dynamic_resources().cds_config(), "dynamic_resources.cds_config");
  } else {
    context.has_cluster = [&](const std::string& name) { return find(snapshot.clusters, name) != nullptr; };
  }
  if (bootstrap.dynamic_resources().has_lds_config()) {
    result.listeners_source =
        compile_config_source(context, bootstrap.dynamic_resources().lds_config(), "dynamic_resources.lds_config");
  }
  // Even where something is refused the rest is compiled, so that all mistakes are told at once; but what is refused
  // often is what another part lacks, so then only the refusals are certain.
  snapshot.clusters = compile_clusters(context);
  if (bootstrap.dynamic_resources().has_ads_config()) {
    check_api_config_source(context, bootstrap.dynamic_resources().ads_config(), "dynamic_resources.ads_config");
  }
  compile_listeners(context, snapshot.listeners);
  compile_admin(context, result);
  if (bootstrap.has_stats_config()) {
    result.stats_rules = compile_stats_config(context, bootstrap.stats_config(), "stats_config");
  }
  result.metrics_services = compile_stats_sinks(context);
  result.stats_flush_interval_ms = compile_stats_flush_interval_ms(context);
  refused.insert(refused.end(), context.refused().begin(), context.refused().end());
  if (options.allow_unsupported) {
    result.warnings = std::move(refused);
    refused.clear();
  }
  if (!refused.empty()) return absl::InvalidArgumentError(join_lines(refused));
  if (!context.errors().empty()) return absl::InvalidArgumentError(join_lines(context.errors()));

  auto most = runtime_number(bootstrap, "overload.global_downstream_max_connections");
  if (most && *most >= 0 && *most < UINT32_MAX) result.max_connections = static_cast<uint32_t>(*most);
  result.node_id = bootstrap.node().id();
  result.node_cluster = bootstrap.node().cluster();
  result.node_zone = bootstrap.node().locality().zone();
  snapshot.version = 1;
  result.snapshot = std::make_shared<const snapshot::Snapshot>(std::move(snapshot));
  result.bootstrap = bootstrap.SerializeAsString();
  bootstrap.mutable_static_resources()->clear_clusters();
  bootstrap.mutable_static_resources()->clear_listeners();
  result.parts->bootstrap = bootstrap;
  return result;
}

}  // namespace weft::config
