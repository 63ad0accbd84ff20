#include "proxy/config/compile/config_source.h"

namespace weft::config {

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
    case core_v3::ConfigSource::CONFIG_SOURCE_SPECIFIER_NOT_SET:
      context.error(path, "expected ads or path_config_source");
      return {};
    default:
      break;  // Reported as unsupported before.
  }
  return source.SerializeAsString();
}

}  // namespace weft::config
