#include "proxy/config/xds/grpc_sources.h"

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "proxy/base/assert.h"
#include "proxy/config/xds/duration.h"

namespace weft::config::xds {

namespace {

using FindCluster = std::function<cluster::ClusterPtr(const std::string& name)>;

GrpcSourceOptions read_options(const envoy::config::core::v3::Node& node, const FindCluster& find_cluster,
                               const envoy::config::core::v3::ApiConfigSource& source) {
  ApiConfigContext compiled{node, find_cluster,
                            [](std::string_view, std::string_view) { WEFT_ASSERT(!"refused by the compiler before"); }};
  return read_api_config_source(compiled, source, "");
}

}  // namespace

std::optional<GrpcSourceOptions> aggregated_options(const std::string& bootstrap, const FindCluster& find_cluster) {
  envoy::config::bootstrap::v3::Bootstrap parsed;
  WEFT_ASSERT(parsed.ParseFromString(bootstrap));
  if (!parsed.dynamic_resources().has_ads_config()) return std::nullopt;
  return read_options(parsed.node(), find_cluster, parsed.dynamic_resources().ads_config());
}

GrpcSources::GrpcSources(pool::WorkerContext& context, const std::string& bootstrap, FindCluster find_cluster,
                         observe::ControlPlaneStats& stats, ConnectionWatcher* watcher, Credentials* credentials)
    : context_(context), find_cluster_(std::move(find_cluster)), states_(stats) {
  envoy::config::bootstrap::v3::Bootstrap parsed;
  WEFT_ASSERT(parsed.ParseFromString(bootstrap));
  node_ = parsed.node();
  std::optional<GrpcSourceOptions> options = aggregated_options(bootstrap, find_cluster_);
  if (!options) return;
  options->watcher = watcher;
  for (ControlPlane& each : options->control_planes) each.credentials = credentials;
  ads_ = std::make_unique<SharedSource>(context, *std::move(options), states_);
}

GrpcSourceOptions GrpcSources::read(const envoy::config::core::v3::ApiConfigSource& source) const {
  return read_options(node_, find_cluster_, source);
}

std::unique_ptr<Source> GrpcSources::make(const std::string& config_source, Type type, Consumer& consumer) {
  envoy::config::core::v3::ConfigSource parsed;
  WEFT_ASSERT(parsed.ParseFromString(config_source));
  int64_t timeout_ms = initial_fetch_timeout_ms(parsed);
  if (parsed.has_ads()) {
    WEFT_ASSERT(ads_ != nullptr);
    return ads_->share(type, consumer, timeout_ms);
  }
  if (!parsed.has_api_config_source()) return nullptr;
  std::erase_if(own_, [](const auto& each) { return each.second->unused(); });
  std::unique_ptr<SharedSource>& source = own_[parsed.api_config_source().SerializeAsString()];
  if (source == nullptr) {
    GrpcSourceOptions options = read(parsed.api_config_source());
    options.aggregated = false;
    source = std::make_unique<SharedSource>(context_, std::move(options), states_);
  }
  return source->share(type, consumer, timeout_ms);
}

}  // namespace weft::config::xds
