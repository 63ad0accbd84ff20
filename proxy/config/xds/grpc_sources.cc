#include "proxy/config/xds/grpc_sources.h"

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "proxy/base/assert.h"
#include "proxy/config/xds/duration.h"

namespace weft::config::xds {

GrpcSources::GrpcSources(pool::WorkerContext& context, const std::string& bootstrap,
                         std::function<cluster::ClusterPtr(const std::string& name)> find_cluster,
                         observe::ControlPlaneStats& stats, ConnectionWatcher* watcher)
    : context_(context), find_cluster_(std::move(find_cluster)), states_(stats) {
  envoy::config::bootstrap::v3::Bootstrap parsed;
  WEFT_ASSERT(parsed.ParseFromString(bootstrap));
  node_ = parsed.node();
  if (!parsed.dynamic_resources().has_ads_config()) return;
  GrpcSourceOptions options = read(parsed.dynamic_resources().ads_config());
  options.watcher = watcher;
  ads_ = std::make_unique<SharedSource>(context, std::move(options), states_);
}

GrpcSourceOptions GrpcSources::read(const envoy::config::core::v3::ApiConfigSource& source) const {
  ApiConfigContext compiled{node_, find_cluster_,
                            [](std::string_view, std::string_view) { WEFT_ASSERT(!"refused by the compiler before"); }};
  return read_api_config_source(compiled, source, "");
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
