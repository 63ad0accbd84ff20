#include "proxy/config/xds/grpc_sources.h"

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "proxy/base/assert.h"
#include "proxy/config/xds/duration.h"

namespace weft::config::xds {

GrpcSources::GrpcSources(pool::WorkerContext& context, const std::string& bootstrap,
                         std::function<cluster::ClusterPtr(const std::string& name)> find_cluster,
                         observe::ControlPlaneStats& stats, ConnectionWatcher* watcher) {
  envoy::config::bootstrap::v3::Bootstrap parsed;
  WEFT_ASSERT(parsed.ParseFromString(bootstrap));
  if (!parsed.dynamic_resources().has_ads_config()) return;
  ApiConfigContext compiled{parsed.node(), std::move(find_cluster),
                            [](std::string_view, std::string_view) { WEFT_ASSERT(!"refused by the compiler before"); }};
  GrpcSourceOptions options = read_api_config_source(compiled, parsed.dynamic_resources().ads_config(), "ads_config");
  options.watcher = watcher;
  ads_ = std::make_unique<Ads>(context, std::move(options), stats);
}

std::unique_ptr<Source> GrpcSources::make(const std::string& config_source, Type type, Consumer& consumer) {
  envoy::config::core::v3::ConfigSource parsed;
  WEFT_ASSERT(parsed.ParseFromString(config_source));
  if (!parsed.has_ads()) return nullptr;
  WEFT_ASSERT(ads_ != nullptr);
  return ads_->share(type, consumer, initial_fetch_timeout_ms(parsed));
}

}  // namespace weft::config::xds
