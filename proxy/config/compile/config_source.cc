#include "proxy/config/compile/config_source.h"

#include <algorithm>

#include "proxy/config/xds/api_config_source.h"

namespace weft::config {

void find_control_plane_clusters(Context& context) {
  std::vector<std::string>& found = context.parts().control_plane_clusters;
  for (const auto& cluster : context.bootstrap().static_resources().clusters()) {
    // Endpoints that come from a control plane cannot be those of the control plane.
    if (cluster.type() != envoy::config::cluster::v3::Cluster::EDS) {
      found.push_back(cluster.name());
    }
  }
  std::sort(found.begin(), found.end());
  found.shrink_to_fit();
}

void check_api_config_source(Context& context, const core_v3::ApiConfigSource& source, std::string_view path) {
  xds::ApiConfigContext checked{
      context.bootstrap().node(),
      [&](const std::string& name) -> absl::StatusOr<cluster::ClusterPtr> {
        if (context.parts().can_call_control_plane(name)) return nullptr;
        return absl::NotFoundError(text::cat("the bootstrap has no cluster \"", name, "\" with endpoints of its own"));
      },
      [&](std::string_view where, std::string_view what) { context.error(where, what); }};
  xds::read_api_config_source(checked, source, path);
}

std::string compile_config_source(Context& context, const core_v3::ConfigSource& source, std::string_view path) {
  switch (source.config_source_specifier_case()) {
    case core_v3::ConfigSource::kPath:
      if (source.path().empty()) context.error(field_path(path, "path"), "is empty");
      break;
    case core_v3::ConfigSource::kPathConfigSource:
      if (source.path_config_source().path().empty()) {
        context.error(field_path(field_path(path, "path_config_source"), "path"), "is empty");
      }
      break;
    case core_v3::ConfigSource::kAds:
      if (!context.bootstrap().dynamic_resources().has_ads_config()) {
        context.error(field_path(path, "ads"), "the bootstrap has no dynamic_resources.ads_config");
      }
      break;
    case core_v3::ConfigSource::kApiConfigSource:
      check_api_config_source(context, source.api_config_source(), field_path(path, "api_config_source"));
      break;
    case core_v3::ConfigSource::CONFIG_SOURCE_SPECIFIER_NOT_SET:
      context.error(path, "expected ads, api_config_source or path_config_source");
      return {};
    default:
      break;  // Reported as unsupported before.
  }
  return source.SerializeAsString();
}

}  // namespace weft::config
