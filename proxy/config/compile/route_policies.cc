// What a route does beside forwarding: hashing for the balancers, and mirroring.

#include "absl/strings/ascii.h"
#include "proxy/config/compile/routes.h"
#include "proxy/config/compile/runtime.h"

namespace weft::config {
namespace {

using HashProto = route_v3::RouteAction::HashPolicy;

void compile_cookie(Context& context, const HashProto::Cookie& cookie, std::string_view path,
                    route::HashPolicy& result) {
  result.kind = route::HashPolicy::Kind::kCookie;
  result.name = cookie.name();
  if (cookie.name().empty()) context.error(field_path(path, "name"), "is empty");
  if (cookie.has_ttl()) result.cookie_ttl_s = cookie.ttl().seconds();
  result.cookie_path = cookie.path();
  for (const auto& attribute : cookie.attributes()) {
    result.cookie_attributes.emplace_back(attribute.name(), attribute.value());
  }
}

void compile_header(Context& context, const HashProto::Header& header, std::string_view path,
                    route::HashPolicy& result) {
  result.name = absl::AsciiStrToLower(header.header_name());
  if (result.name.empty()) context.error(field_path(path, "header_name"), "is empty");
  if (!header.has_regex_rewrite()) return;
  result.regex = compile_regex(context, header.regex_rewrite().pattern(),
                               field_path(field_path(path, "regex_rewrite"), "pattern"));
  result.regex_substitution = header.regex_rewrite().substitution();
}

}  // namespace

std::vector<route::HashPolicy> compile_hash_policies(Context& context,
                                                     const google::protobuf::RepeatedPtrField<HashProto>& policies,
                                                     std::string_view path) {
  std::vector<route::HashPolicy> result;
  for (int i = 0; i < policies.size(); ++i) {
    const HashProto& policy = policies[i];
    std::string here = index_path(path, static_cast<size_t>(i));
    route::HashPolicy compiled;
    compiled.terminal = policy.terminal();
    switch (policy.policy_specifier_case()) {
      case HashProto::kHeader:
        compile_header(context, policy.header(), field_path(here, "header"), compiled);
        break;
      case HashProto::kCookie:
        compile_cookie(context, policy.cookie(), field_path(here, "cookie"), compiled);
        break;
      case HashProto::kConnectionProperties:
        if (!policy.connection_properties().source_ip()) continue;
        compiled.kind = route::HashPolicy::Kind::kSourceIp;
        break;
      case HashProto::kQueryParameter:
        compiled.kind = route::HashPolicy::Kind::kQueryParameter;
        compiled.name = policy.query_parameter().name();
        if (compiled.name.empty()) context.error(field_path(here, "query_parameter"), "name is empty");
        break;
      case HashProto::POLICY_SPECIFIER_NOT_SET:
        context.error(here, "expected header, cookie, connection_properties or query_parameter");
        continue;
      default:
        continue;  // Reported as unsupported before.
    }
    result.push_back(std::move(compiled));
  }
  return result;
}

std::vector<route::Mirror> compile_mirrors(
    Context& context, const google::protobuf::RepeatedPtrField<route_v3::RouteAction::RequestMirrorPolicy>& policies,
    bool validate_clusters, std::string_view path) {
  std::vector<route::Mirror> result;
  for (int i = 0; i < policies.size(); ++i) {
    const auto& policy = policies[i];
    std::string at_cluster = field_path(index_path(path, static_cast<size_t>(i)), "cluster");
    route::Mirror mirror;
    if (policy.cluster().empty()) {
      context.error(at_cluster, "is empty");
      continue;
    }
    mirror.destination.name = policy.cluster();
    mirror.destination.slot = context.slot(policy.cluster(), validate_clusters, at_cluster);
    mirror.destination.weight = 1;
    if (policy.has_runtime_fraction()) {
      Fraction fraction = runtime_fraction(context.bootstrap(), policy.runtime_fraction());
      mirror.numerator = fraction.numerator;
      mirror.denominator = fraction.denominator;
    }
    mirror.keep_host = policy.disable_shadow_host_suffix_append();
    mirror.host_rewrite = policy.host_rewrite_literal();
    result.push_back(std::move(mirror));
  }
  return result;
}

}  // namespace weft::config
