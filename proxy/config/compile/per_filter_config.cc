#include "proxy/config/compile/per_filter_config.h"

#include <algorithm>
#include <utility>

#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "proxy/config/compile/cors.h"
#include "proxy/config/compile/rbac.h"
#include "proxy/filter/jwt_authn/override.h"
#include "proxy/filter/rbac/rbac.h"

namespace weft::config {
namespace {

namespace jwt_v3 = envoy::extensions::filters::http::jwt_authn::v3;

// nullptr: it is for no filter that has such configuration, which was reported as unsupported before.
std::shared_ptr<const route::FilterOverride> compile_override(Context& context, const google::protobuf::Any& config,
                                                              std::string_view path) {
  if (config.Is<http_rbac_v3::RBACPerRoute>()) {
    http_rbac_v3::RBACPerRoute proto;
    if (!context.unpack(config, &proto, path)) return nullptr;
    auto result = std::make_shared<filter::RbacOverride>();
    result->guard = compile_guard(context, proto.rbac(), field_path(path, "rbac"));
    return result;
  }
  if (config.Is<jwt_v3::PerRouteConfig>()) {
    jwt_v3::PerRouteConfig proto;
    if (!context.unpack(config, &proto, path)) return nullptr;
    auto result = std::make_shared<filter::JwtOverride>();
    result->disabled = proto.disabled();
    result->requirement = proto.requirement_name();
    if (!proto.disabled() && proto.requirement_name().empty()) {
      context.error(path, "expected disabled: true or requirement_name");
    }
    return result;
  }
  return nullptr;
}

}  // namespace

void PerFilterConfig::inherit(const PerFilterConfig& outer) {
  if (cors == nullptr) cors = outer.cors;
  for (const route::NamedOverride& each : outer.overrides) {
    bool known = std::any_of(overrides.begin(), overrides.end(),
                             [&](const route::NamedOverride& mine) { return mine.filter == each.filter; });
    if (!known) overrides.push_back(each);
  }
}

PerFilterConfig compile_per_filter_config(Context& context,
                                          const google::protobuf::Map<std::string, google::protobuf::Any>& configs,
                                          std::string_view path) {
  PerFilterConfig result;
  for (const auto& [name, config] : configs) {
    std::string here = key_path(field_path(path, "typed_per_filter_config"), name);
    if (config.Is<cors_v3::CorsPolicy>()) {
      cors_v3::CorsPolicy policy;
      if (context.unpack(config, &policy, here)) result.cors = compile_cors(context, policy, here);
    } else if (auto override = compile_override(context, config, here); override != nullptr) {
      result.overrides.push_back({name, std::move(override)});
    }
  }
  return result;
}

}  // namespace weft::config
