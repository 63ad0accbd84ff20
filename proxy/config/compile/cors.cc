#include "proxy/config/compile/cors.h"

#include "proxy/config/compile/runtime.h"

namespace weft::config {
namespace {

// Both messages have the same fields but for the message type.
template <typename Policy>
std::shared_ptr<const route::CorsPolicy> compile_policy(Context& context, const Policy& policy, std::string_view path) {
  auto result = std::make_shared<route::CorsPolicy>();
  for (int i = 0; i < policy.allow_origin_string_match_size(); ++i) {
    result->allow_origins.push_back(
        compile_string_matcher(context, policy.allow_origin_string_match(i), at(path, "allow_origin_string_match", i)));
  }
  result->allow_methods = policy.allow_methods();
  result->allow_headers = policy.allow_headers();
  result->expose_headers = policy.expose_headers();
  result->max_age = policy.max_age();
  result->allow_credentials = WEFT_VALUE_OR(policy, allow_credentials, false);
  result->allow_private_network = WEFT_VALUE_OR(policy, allow_private_network_access, false);
  result->forward_not_matching_preflights = WEFT_VALUE_OR(policy, forward_not_matching_preflights, true);
  if (policy.has_filter_enabled()) {
    Fraction enabled = runtime_fraction(context.bootstrap(), policy.filter_enabled());
    result->enabled_numerator = enabled.numerator;
    result->enabled_denominator = enabled.denominator;
  }
  if (policy.has_shadow_enabled()) {
    Fraction shadow = runtime_fraction(context.bootstrap(), policy.shadow_enabled());
    result->shadow_numerator = shadow.numerator;
    result->shadow_denominator = shadow.denominator;
  }
  return result;
}

}  // namespace

std::shared_ptr<const route::CorsPolicy> compile_cors(Context& context, const route_v3::CorsPolicy& policy,
                                                      std::string_view path) {
  return compile_policy(context, policy, path);
}

std::shared_ptr<const route::CorsPolicy> compile_cors(Context& context, const cors_v3::CorsPolicy& policy,
                                                      std::string_view path) {
  return compile_policy(context, policy, path);
}

}  // namespace weft::config
