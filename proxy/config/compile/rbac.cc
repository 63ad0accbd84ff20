#include "proxy/config/compile/rbac.h"

#include <string>
#include <utility>

#include "envoy/extensions/path/match/uri_template/v3/uri_template_match.pb.h"
#include "proxy/config/compile/routes.h"
#include "proxy/route/path_template.h"

namespace weft::config {
namespace {

using rbac::AddressOf;
using rbac::ConditionPtr;

// A depth that no person writes; the compiler and the matcher call themselves for each level.
constexpr int kMaxDepth = 32;

ConditionPtr compile_address(Context& context, const core_v3::CidrRange& range, AddressOf whose,
                             std::string_view path) {
  google::protobuf::RepeatedPtrField<core_v3::CidrRange> one;
  *one.Add() = range;
  std::vector<snapshot::Cidr> compiled = compile_ranges(context, one, path);
  if (compiled.empty()) return rbac::none_of(rbac::always());
  return rbac::address(whose, compiled[0].address, compiled[0].prefix_bits);
}

ConditionPtr compile_template(Context& context, const core_v3::TypedExtensionConfig& proto, std::string_view path) {
  std::string here = field_path(path, "typed_config");
  envoy::extensions::path::match::uri_template::v3::UriTemplateMatchConfig config;
  if (!context.unpack(proto.typed_config(), &config, here)) return rbac::always();
  auto regex = route::compile_path_template(config.path_template());
  if (regex.ok()) return rbac::path_template(*std::move(regex));
  context.error(field_path(here, "path_template"), std::string(regex.status().message()));
  return rbac::always();
}

ConditionPtr compile_any(Context& context, bool any, std::string_view path) {
  if (!any) context.error(field_path(path, "any"), "can only be true");
  return rbac::always();
}

class RulesCompiler {
 public:
  // `has_requests`: they are asked of requests, not of connections.
  RulesCompiler(Context& context, bool has_requests) : context_(context), has_requests_(has_requests) {}

  ConditionPtr permission(const rbac_v3::Permission& proto, std::string_view path, int depth = 0);
  ConditionPtr principal(const rbac_v3::Principal& proto, std::string_view path, int depth = 0);

  template <typename Parts, typename Compile>
  rbac::Conditions parts(const Parts& protos, std::string_view path, std::string_view field, Compile compile) {
    rbac::Conditions result;
    for (int i = 0; i < protos.size(); ++i) result.push_back(compile(protos[i], at(path, field, i)));
    if (protos.empty()) context_.error(field_path(path, field), "expected at least one");
    return result;
  }

 private:
  bool too_deep(int depth, std::string_view path) {
    if (depth < kMaxDepth) return false;
    context_.error(path, text::cat("stands more than ", kMaxDepth, " levels deep"));
    return true;
  }
  // As Envoy: a connection has no headers, and who asks for one means something else.
  ConditionPtr header(const route_v3::HeaderMatcher& proto, std::string_view path) {
    if (!has_requests_) context_.error(path, "only requests have headers; this filter judges connections");
    return rbac::header(compile_header_match(context_, proto, path));
  }
  route::StringMatcher url_path(const matcher_v3::PathMatcher& proto, std::string_view path) {
    return compile_string_matcher(context_, proto.path(), field_path(path, "path"));
  }
  ConditionPtr sourced_metadata(const rbac_v3::SourcedMetadata& proto, std::string_view path) {
    return rbac::metadata(
        compile_metadata_match(context_, proto.metadata_matcher(), field_path(path, "metadata_matcher")));
  }

  Context& context_;
  const bool has_requests_;
};

ConditionPtr RulesCompiler::permission(const rbac_v3::Permission& proto, std::string_view path, int depth) {
  if (too_deep(depth, path)) return rbac::always();
  auto below = [&](const rbac_v3::Permission& each, std::string_view here) {
    return permission(each, here, depth + 1);
  };
  switch (proto.rule_case()) {
    case rbac_v3::Permission::kAndRules:
      return rbac::all_of(parts(proto.and_rules().rules(), field_path(path, "and_rules"), "rules", below));
    case rbac_v3::Permission::kOrRules:
      return rbac::any_of(parts(proto.or_rules().rules(), field_path(path, "or_rules"), "rules", below));
    case rbac_v3::Permission::kNotRule:
      return rbac::none_of(below(proto.not_rule(), field_path(path, "not_rule")));
    case rbac_v3::Permission::kAny:
      return compile_any(context_, proto.any(), path);
    case rbac_v3::Permission::kHeader:
      return header(proto.header(), field_path(path, "header"));
    case rbac_v3::Permission::kUrlPath:
      return rbac::path(url_path(proto.url_path(), field_path(path, "url_path")));
    case rbac_v3::Permission::kUriTemplate:
      return compile_template(context_, proto.uri_template(), field_path(path, "uri_template"));
    case rbac_v3::Permission::kDestinationIp:
      return compile_address(context_, proto.destination_ip(), AddressOf::kDestination,
                             field_path(path, "destination_ip"));
    case rbac_v3::Permission::kDestinationPort: {
      int64_t port = proto.destination_port();
      if (port > 65535) context_.error(field_path(path, "destination_port"), "a port is at most 65535");
      return rbac::destination_ports(port, port + 1);
    }
    case rbac_v3::Permission::kDestinationPortRange: {
      const auto& range = proto.destination_port_range();
      if (range.start() < 0 || range.end() > 65536 || range.start() >= range.end()) {
        context_.error(field_path(path, "destination_port_range"),
                       "expected start and end, the end not included, within 0 and 65536");
      }
      return rbac::destination_ports(range.start(), range.end());
    }
    case rbac_v3::Permission::kRequestedServerName:
      return rbac::server_name(
          compile_string_matcher(context_, proto.requested_server_name(), field_path(path, "requested_server_name")));
    case rbac_v3::Permission::kMetadata:
      return rbac::metadata(compile_metadata_match(context_, proto.metadata(), field_path(path, "metadata")));
    case rbac_v3::Permission::kSourcedMetadata:
      return sourced_metadata(proto.sourced_metadata(), field_path(path, "sourced_metadata"));
    case rbac_v3::Permission::RULE_NOT_SET:
      context_.error(path, "expected one of the permissions");
      return rbac::always();
    default:
      return rbac::always();  // Reported as unsupported before.
  }
}

ConditionPtr RulesCompiler::principal(const rbac_v3::Principal& proto, std::string_view path, int depth) {
  if (too_deep(depth, path)) return rbac::always();
  auto below = [&](const rbac_v3::Principal& each, std::string_view here) { return principal(each, here, depth + 1); };
  switch (proto.identifier_case()) {
    case rbac_v3::Principal::kAndIds:
      return rbac::all_of(parts(proto.and_ids().ids(), field_path(path, "and_ids"), "ids", below));
    case rbac_v3::Principal::kOrIds:
      return rbac::any_of(parts(proto.or_ids().ids(), field_path(path, "or_ids"), "ids", below));
    case rbac_v3::Principal::kNotId:
      return rbac::none_of(below(proto.not_id(), field_path(path, "not_id")));
    case rbac_v3::Principal::kAny:
      return compile_any(context_, proto.any(), path);
    case rbac_v3::Principal::kAuthenticated:
      if (!proto.authenticated().has_principal_name()) return rbac::any_authenticated();
      return rbac::principal(compile_string_matcher(context_, proto.authenticated().principal_name(),
                                                    field_path(field_path(path, "authenticated"), "principal_name")));
    case rbac_v3::Principal::kSourceIp:
      return compile_address(context_, proto.source_ip(), AddressOf::kSource, field_path(path, "source_ip"));
    case rbac_v3::Principal::kDirectRemoteIp:
      return compile_address(context_, proto.direct_remote_ip(), AddressOf::kDirectRemote,
                             field_path(path, "direct_remote_ip"));
    case rbac_v3::Principal::kRemoteIp:
      return compile_address(context_, proto.remote_ip(), AddressOf::kRemote, field_path(path, "remote_ip"));
    case rbac_v3::Principal::kHeader:
      return header(proto.header(), field_path(path, "header"));
    case rbac_v3::Principal::kUrlPath:
      return rbac::path(url_path(proto.url_path(), field_path(path, "url_path")));
    case rbac_v3::Principal::kMetadata:
      return rbac::metadata(compile_metadata_match(context_, proto.metadata(), field_path(path, "metadata")));
    case rbac_v3::Principal::kSourcedMetadata:
      return sourced_metadata(proto.sourced_metadata(), field_path(path, "sourced_metadata"));
    case rbac_v3::Principal::IDENTIFIER_NOT_SET:
      context_.error(path, "expected one of the principals");
      return rbac::always();
    default:
      return rbac::always();  // Reported as unsupported before.
  }
}

std::shared_ptr<const rbac::Rules> compile_rules(Context& context, const rbac_v3::RBAC& proto, bool has_requests,
                                                 std::string_view path) {
  RulesCompiler compiler(context, has_requests);
  std::vector<rbac::Policy> policies;
  for (const auto& [name, policy] : proto.policies()) {
    std::string here = key_path(field_path(path, "policies"), name);
    rbac::Policy compiled;
    compiled.name = name;
    compiled.permission = rbac::any_of(compiler.parts(
        policy.permissions(), here, "permissions",
        [&](const rbac_v3::Permission& each, std::string_view at) { return compiler.permission(each, at); }));
    compiled.principal = rbac::any_of(compiler.parts(
        policy.principals(), here, "principals",
        [&](const rbac_v3::Principal& each, std::string_view at) { return compiler.principal(each, at); }));
    policies.push_back(std::move(compiled));
  }
  rbac::Action action = proto.action() == rbac_v3::RBAC::DENY  ? rbac::Action::kDeny
                        : proto.action() == rbac_v3::RBAC::LOG ? rbac::Action::kLog
                                                               : rbac::Action::kAllow;
  return std::make_shared<const rbac::Rules>(action, std::move(policies));
}

// Of requests and of connections, whose messages differ only in what stands beside the rules.
template <typename Proto>
rbac::Guard guard_of(Context& context, const Proto& proto, bool has_requests, std::string_view path) {
  rbac::Guard result;
  if (proto.has_rules()) result.rules = compile_rules(context, proto.rules(), has_requests, field_path(path, "rules"));
  if (proto.has_shadow_rules()) {
    result.shadow = compile_rules(context, proto.shadow_rules(), has_requests, field_path(path, "shadow_rules"));
  }
  return result;
}

rbac::ValueMatch compile_value(Context& context, const matcher_v3::ValueMatcher& matcher, std::string_view path) {
  using Kind = rbac::ValueMatch::Kind;
  rbac::ValueMatch result;
  switch (matcher.match_pattern_case()) {
    case matcher_v3::ValueMatcher::kNullMatch:
      result.kind = Kind::kNull;
      break;
    case matcher_v3::ValueMatcher::kDoubleMatch:
      result.kind = matcher.double_match().has_range() ? Kind::kRange : Kind::kNumber;
      result.number =
          matcher.double_match().has_range() ? matcher.double_match().range().start() : matcher.double_match().exact();
      result.end = matcher.double_match().range().end();
      break;
    case matcher_v3::ValueMatcher::kStringMatch:
      result.kind = Kind::kString;
      result.string = compile_string_matcher(context, matcher.string_match(), field_path(path, "string_match"));
      break;
    case matcher_v3::ValueMatcher::kBoolMatch:
      result.kind = Kind::kBool;
      result.boolean = matcher.bool_match();
      break;
    case matcher_v3::ValueMatcher::kPresentMatch:
      result.boolean = matcher.present_match();
      break;
    case matcher_v3::ValueMatcher::kListMatch:
      result.kind = Kind::kOneOf;
      result.parts.push_back(
          compile_value(context, matcher.list_match().one_of(), field_path(field_path(path, "list_match"), "one_of")));
      break;
    case matcher_v3::ValueMatcher::kOrMatch:
      result.kind = Kind::kOr;
      for (int i = 0; i < matcher.or_match().value_matchers_size(); ++i) {
        result.parts.push_back(compile_value(context, matcher.or_match().value_matchers(i),
                                             at(field_path(path, "or_match"), "value_matchers", i)));
      }
      break;
    default:
      context.error(path, "expected one of the value matchers");
  }
  return result;
}

rbac::GuardStats stats_of(Context& context, const std::string& prefix, const std::string& rules_prefix,
                          const std::string& shadow_prefix, std::string_view tag, const std::string& tag_value) {
  rbac::GuardStats stats;
  stats.rules =
      context.parts().filter_family<rbac::RulesStats>(text::cat(prefix, "rbac.", rules_prefix), tag, tag_value);
  stats.shadow =
      context.parts().filter_family<rbac::ShadowRulesStats>(text::cat(prefix, "rbac.", shadow_prefix), tag, tag_value);
  return stats;
}

}  // namespace

rbac::MetadataMatch compile_metadata_match(Context& context, const matcher_v3::MetadataMatcher& matcher,
                                           std::string_view path) {
  rbac::MetadataMatch result;
  result.name = matcher.filter();
  if (result.name.empty()) context.error(field_path(path, "filter"), "is empty");
  for (const auto& segment : matcher.path()) result.path.push_back(segment.key());
  if (result.path.empty()) context.error(field_path(path, "path"), "expected at least one key");
  result.value = compile_value(context, matcher.value(), field_path(path, "value"));
  result.invert = matcher.invert();
  return result;
}

rbac::Guard compile_guard(Context& context, const http_rbac_v3::RBAC& proto, std::string_view path) {
  return guard_of(context, proto, true, path);
}

rbac::GuardStats guard_stats(Context& context, const http_rbac_v3::RBAC& proto, const std::string& prefix,
                             const std::string& stat_prefix) {
  return stats_of(context, prefix, proto.rules_stat_prefix(), proto.shadow_rules_stat_prefix(),
                  "envoy_http_conn_manager_prefix", stat_prefix);
}

std::shared_ptr<const rbac::ConnectionGuard> compile_connection_guard(Context& context,
                                                                      const network_rbac_v3::RBAC& proto,
                                                                      std::string_view path) {
  if (proto.stat_prefix().empty()) context.error(field_path(path, "stat_prefix"), "is empty");
  auto result = std::make_shared<rbac::ConnectionGuard>();
  result->guard = guard_of(context, proto, false, path);
  result->stats = stats_of(context, proto.stat_prefix(), "", proto.shadow_rules_stat_prefix(), "", "");
  return result;
}

}  // namespace weft::config
