#include "proxy/config/compile/per_filter_config.h"

#include <algorithm>
#include <utility>

#include "envoy/extensions/filters/http/ext_authz/v3/ext_authz.pb.h"
#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "proxy/config/compile/cors.h"
#include "proxy/config/compile/rbac.h"
#include "proxy/filter/ext_authz/override.h"
#include "proxy/filter/jwt_authn/override.h"
#include "proxy/filter/rbac/rbac.h"

namespace weft::config {
namespace {

namespace ext_authz_v3 = envoy::extensions::filters::http::ext_authz::v3;
namespace jwt_v3 = envoy::extensions::filters::http::jwt_authn::v3;

std::shared_ptr<const route::FilterOverride> compile_authz_override(Context& context,
                                                                    const ext_authz_v3::ExtAuthzPerRoute& proto,
                                                                    std::string_view path) {
  auto result = std::make_shared<filter::AuthzOverride>();
  result->disabled = proto.disabled();
  if (proto.override_case() == ext_authz_v3::ExtAuthzPerRoute::OVERRIDE_NOT_SET) {
    context.error(path, "expected disabled or check_settings");
  }
  if (!proto.has_check_settings()) return result;
  const ext_authz_v3::CheckSettings& settings = proto.check_settings();
  std::string here = field_path(path, "check_settings");
  result->extensions.insert(settings.context_extensions().begin(), settings.context_extensions().end());
  result->without_body = settings.disable_request_body_buffering();
  if (!settings.has_with_request_body()) return result;
  if (result->without_body) {
    context.error(here, "expected one of disable_request_body_buffering and with_request_body");
  }
  result->body = compile_authz_body(context, settings.with_request_body(), field_path(here, "with_request_body"));
  return result;
}

// What Envoy puts together of all that a request's route stands in: the extensions of questions. nullptr: nothing.
std::shared_ptr<const route::FilterOverride> joined(const route::FilterOverride& outer,
                                                    const route::FilterOverride& inner) {
  const auto* less = dynamic_cast<const filter::AuthzOverride*>(&outer);
  const auto* more = dynamic_cast<const filter::AuthzOverride*>(&inner);
  if (less == nullptr || more == nullptr || less->extensions.empty()) return nullptr;
  auto result = std::make_shared<filter::AuthzOverride>(*more);
  result->extensions.insert(less->extensions.begin(), less->extensions.end());
  return result;
}

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
  if (config.Is<ext_authz_v3::ExtAuthzPerRoute>()) {
    ext_authz_v3::ExtAuthzPerRoute proto;
    if (!context.unpack(config, &proto, path)) return nullptr;
    return compile_authz_override(context, proto, path);
  }
  return nullptr;
}

}  // namespace

filter::AuthzBody compile_authz_body(Context& context, const ext_authz_v3::BufferSettings& proto,
                                     std::string_view path) {
  if (proto.max_request_bytes() == 0) context.error(field_path(path, "max_request_bytes"), "expected more than 0");
  return {proto.max_request_bytes(), proto.allow_partial_message(), proto.pack_as_bytes()};
}

void PerFilterConfig::inherit(const PerFilterConfig& outer) {
  if (cors == nullptr) cors = outer.cors;
  for (const route::NamedOverride& each : outer.overrides) {
    auto known = std::find_if(overrides.begin(), overrides.end(),
                              [&](const route::NamedOverride& mine) { return mine.filter == each.filter; });
    if (known == overrides.end()) {
      overrides.push_back(each);
    } else if (auto both = joined(*each.value, *known->value); both != nullptr) {
      known->value = std::move(both);
    }
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
