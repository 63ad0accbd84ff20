#include "proxy/config/compile/jwt_authn.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "proxy/config/compile/data_source.h"
#include "proxy/config/compile/routes.h"
#include "proxy/filter/jwt_authn/jwt_authn.h"
#include "proxy/filter/jwt_authn/remote_keys.h"

namespace weft::config {
namespace {

using filter::JwtProvider;
using filter::JwtRequirement;

// A depth that no person writes; the compiler and the filter call themselves for each level.
constexpr int kMaxDepth = 16;

class Compiler {
 public:
  Compiler(Context& context, const jwt_v3::JwtAuthentication& proto, filter::JwtConfig& config)
      : context_(context), proto_(proto), config_(config) {}

  void run(std::string_view path) {
    for (const auto& [name, provider] : proto_.providers()) {
      providers_[name] = compile_provider(name, provider, key_path(field_path(path, "providers"), name));
    }
    // By name, so that what is tried first does not depend on a map's order.
    for (const auto& [name, provider] : providers_) config_.providers.push_back(provider);
    for (const auto& [name, requirement] : proto_.requirement_map()) {
      config_.named[name] = compile_requirement(requirement, key_path(field_path(path, "requirement_map"), name));
    }
    compile_rules(path);
  }

 private:
  filter::JwtProviderPtr compile_provider(const std::string& name, const jwt_v3::JwtProvider& proto,
                                          const std::string& path);
  filter::KeySourcePtr compile_keys(const jwt_v3::JwtProvider& proto, const std::string& path);
  filter::KeySourcePtr compile_remote(const jwt_v3::RemoteJwks& proto, const std::string& path);
  void compile_locations(const jwt_v3::JwtProvider& proto, const std::string& path, JwtProvider& result);
  void compile_rules(std::string_view path);

  filter::JwtProviderPtr find(const std::string& name, std::string_view path) {
    auto found = providers_.find(name);
    if (found != providers_.end()) return found->second;
    context_.error(path, text::cat("there is no provider \"", name, "\""));
    return std::make_shared<JwtProvider>();
  }

  filter::JwtRequirementPtr compile_requirement(const jwt_v3::JwtRequirement& proto, const std::string& path) {
    return std::make_shared<const JwtRequirement>(requirement(proto, path, 0));
  }

  template <typename List>
  void compile_parts(const List& list, const std::string& path, int depth, JwtRequirement& result) {
    for (int i = 0; i < list.requirements_size(); ++i) {
      result.parts.push_back(requirement(list.requirements(i), at(path, "requirements", i), depth + 1));
    }
    if (list.requirements_size() < 2) context_.error(field_path(path, "requirements"), "expected at least two");
  }

  JwtRequirement requirement(const jwt_v3::JwtRequirement& proto, const std::string& path, int depth) {
    using Kind = JwtRequirement::Kind;
    JwtRequirement result;
    if (depth == kMaxDepth) {
      context_.error(path, text::cat("stands more than ", kMaxDepth, " levels deep"));
      return result;
    }
    switch (proto.requires_type_case()) {
      case jwt_v3::JwtRequirement::kProviderName:
        result.provider = find(proto.provider_name(), field_path(path, "provider_name"));
        break;
      case jwt_v3::JwtRequirement::kProviderAndAudiences: {
        std::string here = field_path(path, "provider_and_audiences");
        result.provider = find(proto.provider_and_audiences().provider_name(), field_path(here, "provider_name"));
        result.audiences.emplace();
        for (const std::string& each : proto.provider_and_audiences().audiences()) {
          result.audiences->push_back(filter::bare_audience(each));
        }
        break;
      }
      case jwt_v3::JwtRequirement::kRequiresAny:
        result.kind = Kind::kAny;
        compile_parts(proto.requires_any(), field_path(path, "requires_any"), depth, result);
        break;
      case jwt_v3::JwtRequirement::kRequiresAll:
        result.kind = Kind::kAll;
        compile_parts(proto.requires_all(), field_path(path, "requires_all"), depth, result);
        break;
      case jwt_v3::JwtRequirement::kAllowMissing:
        result.kind = Kind::kAllowMissing;
        break;
      case jwt_v3::JwtRequirement::kAllowMissingOrFailed:
        result.kind = Kind::kAllowMissingOrFailed;
        break;
      case jwt_v3::JwtRequirement::REQUIRES_TYPE_NOT_SET:
        result.kind = Kind::kNothing;
        break;
      default:
        break;  // Reported as unsupported before.
    }
    return result;
  }

  Context& context_;
  const jwt_v3::JwtAuthentication& proto_;
  filter::JwtConfig& config_;
  std::map<std::string, filter::JwtProviderPtr> providers_;
};

filter::KeySourcePtr Compiler::compile_remote(const jwt_v3::RemoteJwks& proto, const std::string& path) {
  std::string here = field_path(path, "http_uri");
  filter::RemoteKeysConfig config;
  config.cluster = proto.http_uri().cluster();
  // What comes while the proxy runs may come before its cluster: requests fail until then.
  context_.slot(config.cluster, !context_.of_resource(), field_path(here, "cluster"));
  std::string_view uri = proto.http_uri().uri();
  size_t scheme = uri.find("://");
  if (scheme != std::string_view::npos) uri.remove_prefix(scheme + 3);
  size_t slash = uri.find('/');
  config.authority = std::string(uri.substr(0, slash));
  config.path = slash == std::string_view::npos ? "/" : std::string(uri.substr(slash));
  bool right = http::is_authority(config.authority);
  for (char c : config.path) right = right && c > ' ' && c != '\x7f' && c != '#';
  if (!right) {
    context_.error(field_path(here, "uri"),
                   text::cat("expected http://HOST/PATH or https://HOST/PATH, got \"", proto.http_uri().uri(), "\""));
  }
  config.timeout_ms = to_ms(proto.http_uri().timeout());
  if (config.timeout_ms <= 0) context_.error(field_path(here, "timeout"), "expected more than 0s");
  config.keep_ms = WEFT_MS_OR(proto, cache_duration, config.keep_ms);
  const core_v3::RetryPolicy& retry = proto.retry_policy();
  config.retries = WEFT_VALUE_OR(retry, num_retries, config.retries);
  if (retry.has_retry_back_off()) {
    config.back_off_base_ms = to_ms(retry.retry_back_off().base_interval());
    config.back_off_max_ms = WEFT_MS_OR(retry.retry_back_off(), max_interval, config.back_off_base_ms * 10);
  }
  return std::make_shared<filter::RemoteKeys>(std::move(config), config_.stats, context_.workers());
}

filter::KeySourcePtr Compiler::compile_keys(const jwt_v3::JwtProvider& proto, const std::string& path) {
  if (proto.has_remote_jwks()) return compile_remote(proto.remote_jwks(), field_path(path, "remote_jwks"));
  std::string here = field_path(path, "local_jwks");
  if (!proto.has_local_jwks()) {
    context_.error(path, "expected remote_jwks or local_jwks");
    return std::make_shared<filter::FixedKeys>(nullptr);
  }
  auto keys = filter::KeySet::parse(read_data_source(context_, proto.local_jwks(), here));
  if (keys.ok()) return std::make_shared<filter::FixedKeys>(*std::move(keys));
  if (context_.open_files() || proto.local_jwks().filename().empty()) {
    context_.error(here, text::cat("is no key set: ", std::string(keys.status().message())));
  }
  return std::make_shared<filter::FixedKeys>(nullptr);
}

void Compiler::compile_locations(const jwt_v3::JwtProvider& proto, const std::string& path, JwtProvider& result) {
  for (int i = 0; i < proto.from_headers_size(); ++i) {
    const jwt_v3::JwtHeader& header = proto.from_headers(i);
    if (header.name().empty()) context_.error(field_path(at(path, "from_headers", i), "name"), "is empty");
    result.headers.push_back({absl::AsciiStrToLower(header.name()), header.value_prefix()});
  }
  result.params.assign(proto.from_params().begin(), proto.from_params().end());
  result.cookies.assign(proto.from_cookies().begin(), proto.from_cookies().end());
  if (!result.headers.empty() || !result.params.empty() || !result.cookies.empty()) return;
  // RFC 6750, 2.1 and 2.3.
  result.headers.push_back({"authorization", "Bearer "});
  result.params.push_back("access_token");
}

filter::JwtProviderPtr Compiler::compile_provider(const std::string& name, const jwt_v3::JwtProvider& proto,
                                                  const std::string& path) {
  auto result = std::make_shared<JwtProvider>();
  result->name = name;
  result->issuer = proto.issuer();
  for (const std::string& each : proto.audiences()) result->audiences.push_back(filter::bare_audience(each));
  if (proto.has_subjects()) {
    result->subjects = compile_string_matcher(context_, proto.subjects(), field_path(path, "subjects"));
  }
  result->require_expiration = proto.require_expiration();
  result->max_lifetime_s = to_ms(proto.max_lifetime()) / 1000;
  if (proto.clock_skew_seconds() != 0) result->clock_skew_s = proto.clock_skew_seconds();
  result->keys = compile_keys(proto, path);
  compile_locations(proto, path, *result);
  result->forward = proto.forward();
  result->payload_header = absl::AsciiStrToLower(proto.forward_payload_header());
  result->pad_payload_header = proto.pad_forward_payload_header();
  result->payload_key = proto.payload_in_metadata();
  result->header_key = proto.header_in_metadata();
  const auto& split = proto.normalize_payload_in_metadata().space_delimited_claims();
  result->split_claims.assign(split.begin(), split.end());
  for (int i = 0; i < proto.claim_to_headers_size(); ++i) {
    const jwt_v3::JwtClaimToHeader& claim = proto.claim_to_headers(i);
    std::string here = at(path, "claim_to_headers", i);
    JwtProvider::ClaimHeader compiled{absl::AsciiStrToLower(claim.header_name()), {}};
    if (compiled.header.empty()) context_.error(field_path(here, "header_name"), "is empty");
    if (claim.claim_path_size() != 0) {
      for (const auto& segment : claim.claim_path()) compiled.path.push_back(segment.key());
    } else {
      std::vector<std::string> names = absl::StrSplit(claim.claim_name(), '.');
      compiled.path = std::move(names);
    }
    if (claim.claim_name().empty() == (claim.claim_path_size() == 0)) {
      context_.error(here, "expected one of claim_name and claim_path");
    }
    result->claim_headers.push_back(std::move(compiled));
  }
  result->clear_route_cache = proto.clear_route_cache();
  return result;
}

void Compiler::compile_rules(std::string_view path) {
  auto host = std::make_unique<route::VirtualHost>();
  host->name = "rules";
  host->domains = {"*"};
  for (int i = 0; i < proto_.rules_size(); ++i) {
    const jwt_v3::RequirementRule& rule = proto_.rules(i);
    std::string here = at(path, "rules", i);
    route::RouteEntry entry;
    entry.route = std::make_unique<route::Route>();
    compile_route_match(context_, rule.match(), field_path(here, "match"), entry);
    filter::JwtRequirementPtr requirement;
    if (rule.requirement_type_case() == jwt_v3::RequirementRule::kRequires) {
      requirement = compile_requirement(rule.requires_(), field_path(here, "requires"));
    } else if (rule.requirement_type_case() == jwt_v3::RequirementRule::kRequirementName) {
      auto found = config_.named.find(rule.requirement_name());
      if (found == config_.named.end()) {
        context_.error(field_path(here, "requirement_name"),
                       text::cat("there is no requirement \"", rule.requirement_name(), "\" in requirement_map"));
      } else {
        requirement = found->second;
      }
    }
    if (requirement != nullptr) config_.requirement_of_rule[entry.route.get()] = std::move(requirement);
    host->routes.push_back(std::move(entry));
  }
  std::vector<std::unique_ptr<route::VirtualHost>> hosts;
  hosts.push_back(std::move(host));
  auto table = route::RouteTable::build("rules", std::move(hosts), {});
  if (table.ok()) {
    config_.rules = *std::move(table);
  } else {
    context_.error(field_path(path, "rules"), std::string(table.status().message()));
  }
}

}  // namespace

filter::FilterFactoryPtr compile_jwt_authn(Context& context, const jwt_v3::JwtAuthentication& proto,
                                           const std::string& name, const std::string& stat_prefix,
                                           std::string_view path) {
  filter::JwtConfig config;
  config.name = name;
  config.bypass_cors_preflight = proto.bypass_cors_preflight();
  config.strip_failure_response = proto.strip_failure_response();
  config.stats = context.parts().filter_family<filter::JwtStats>(
      text::cat("http.", stat_prefix, ".jwt_authn.", proto.stat_prefix()), "envoy_http_conn_manager_prefix",
      stat_prefix);
  Compiler(context, proto, config).run(path);
  return filter::make_jwt_filter(std::move(config));
}

}  // namespace weft::config
