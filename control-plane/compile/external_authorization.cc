#include "control-plane/compile/external_authorization.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/authorization_rule.h"
#include "control-plane/compile/duration.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/string_pattern.h"
#include "envoy/extensions/filters/http/ext_authz/v3/ext_authz.pb.h"
#include "envoy/extensions/filters/http/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::rbac::v3::RBAC;
using envoy::extensions::filters::http::ext_authz::v3::AuthorizationResponse;
using envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
using envoy::extensions::filters::http::ext_authz::v3::HttpService;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::type::matcher::v3::ListStringMatcher;
using registry::Authorization;
using registry::Authorizer;
using HttpRbac = envoy::extensions::filters::http::rbac::v3::RBAC;

constexpr std::string_view kDefaultTimeout = "5s";
// Under which RBAC filters leave what they found.
constexpr char kMarks[] = "envoy.filters.http.rbac";

// Who is asked at one turn, and on account of which policies.
struct Asked {
  const Authorizer* authorizer = nullptr;
  std::vector<const Authorization*> policies;
};

// By the authorizer's name, which policies of several namespaces may mean.
std::map<std::string, Asked> asked_at(Turn turn, const registry::Authorizations& policies) {
  std::map<std::string, Asked> out;
  for (const auto& policy : policies) {
    if (policy->action != Authorization::Action::kCustom || turn_of(*policy) != turn) continue;
    Asked& asked = out[policy->authorizer->name];
    asked.authorizer = policy->authorizer.get();
    asked.policies.push_back(policy.get());
  }
  return out;
}

// "ext_authz_shop_opa_": of the marks of one authorizer at one turn, and of what is counted of them.
std::string mark_prefix(const Authorizer& authorizer, Turn turn) {
  return absl::StrCat("ext_authz_", turn == Turn::kAfterTokens ? "by_token_" : "", authorizer.origin.key.namespace_name,
                      "_", authorizer.origin.key.name, "_");
}

// Where the rule is named that a request matches.
std::string mark_key(const Authorizer& authorizer, Turn turn) {
  return absl::StrCat(mark_prefix(authorizer, turn), "shadow_effective_policy_id");
}

// Envoy takes no empty list: what names nothing is not there.
template <typename Message>
void set_names(const google::protobuf::RepeatedPtrField<std::string>& patterns, Message* in,
               ListStringMatcher* (Message::*list)()) {
  for (const std::string& pattern : patterns) {
    auto* matcher = (in->*list)()->add_patterns();
    *matcher = string_pattern(pattern);
    matcher->set_ignore_case(!matcher->has_safe_regex());
  }
}

void set_http(const Authorizer& authorizer, ExtAuthz* out) {
  const v1::HttpAuthorizer& spec = authorizer.spec->http();
  HttpService* service = out->mutable_http_service();
  service->mutable_server_uri()->set_uri(absl::StrCat("http://", authorizer.host, ":", authorizer.port));
  service->mutable_server_uri()->set_cluster(port_name(authorizer.service, authorizer.port));
  const std::string& timeout = authorizer.spec->timeout();
  *service->mutable_server_uri()->mutable_timeout() = duration(timeout.empty() ? kDefaultTimeout : timeout);
  service->set_path_prefix(spec.path_prefix());
  const std::map<std::string, std::string> added(spec.include_additional_headers_in_check().begin(),
                                                 spec.include_additional_headers_in_check().end());
  for (const auto& [name, value] : added) {
    auto* header = service->mutable_authorization_request()->add_headers_to_add();
    header->set_key(name);
    header->set_value(value);
  }
  set_names(spec.include_request_headers_in_check(), out, &ExtAuthz::mutable_allowed_headers);
  auto* answer = service->mutable_authorization_response();
  set_names(spec.headers_to_upstream_on_allow(), answer, &AuthorizationResponse::mutable_allowed_upstream_headers);
  set_names(spec.headers_to_downstream_on_deny(), answer, &AuthorizationResponse::mutable_allowed_client_headers);
  set_names(spec.headers_to_downstream_on_allow(), answer,
            &AuthorizationResponse::mutable_allowed_client_headers_on_success);
}

void set_grpc(const Authorizer& authorizer, ExtAuthz* out) {
  auto* service = out->mutable_grpc_service();
  service->mutable_envoy_grpc()->set_cluster_name(port_name(authorizer.service, authorizer.port));
  service->mutable_envoy_grpc()->set_authority(absl::StrCat(authorizer.host, ":", authorizer.port));
  const std::string& timeout = authorizer.spec->timeout();
  *service->mutable_timeout() = duration(timeout.empty() ? kDefaultTimeout : timeout);
}

ExtAuthz compile_question(const Authorizer& authorizer, Turn turn) {
  const v1::ExternalAuthorizerSpec& spec = *authorizer.spec;
  ExtAuthz out;
  out.set_transport_api_version(envoy::config::core::v3::V3);
  out.set_stat_prefix(absl::StrCat(authorizer.origin.key.namespace_name, "_", authorizer.origin.key.name));
  if (spec.has_http()) {
    set_http(authorizer, &out);
  } else {
    set_grpc(authorizer, &out);
  }
  out.set_failure_mode_allow(spec.fail_open());
  if (spec.has_status_on_error()) {
    out.mutable_status_on_error()->set_code(static_cast<envoy::type::v3::StatusCode>(spec.status_on_error()));
  }
  if (spec.has_include_request_body_in_check()) {
    const v1::AuthorizerBody& body = spec.include_request_body_in_check();
    out.mutable_with_request_body()->set_max_request_bytes(body.max_request_bytes());
    out.mutable_with_request_body()->set_allow_partial_message(body.allow_partial_message());
    out.mutable_with_request_body()->set_pack_as_bytes(body.pack_as_bytes());
  }
  auto* only = out.mutable_filter_enabled_metadata();
  only->set_filter(kMarks);
  only->add_path()->set_key(mark_key(authorizer, turn));
  only->mutable_value()->set_present_match(true);
  return out;
}

bool can_be_asked(const Authorization& policy) {
  return policy.action == Authorization::Action::kCustom && policy.authorizer->trouble.empty();
}

}  // namespace

Turn turn_of(const Authorization& policy) {
  const auto& rules = policy.spec->rules();
  return std::any_of(rules.begin(), rules.end(), speaks_of_tokens) ? Turn::kAfterTokens : Turn::kBeforeTokens;
}

registry::Authorizations policies_at(const registry::Authorizations& policies, const registry::ServiceName& service,
                                     const std::vector<uint16_t>& ports) {
  const bool is_asked = std::any_of(policies.begin(), policies.end(), [&](const auto& policy) {
    return can_be_asked(*policy) && policy->authorizer->service == service &&
           std::find(ports.begin(), ports.end(), policy->authorizer->port) != ports.end();
  });
  registry::Authorizations out = policies;
  if (is_asked) std::erase_if(out, [](const auto& policy) { return policy->action == Authorization::Action::kCustom; });
  return out;
}

void add_external_authorization(const AuthorizationTarget& target, Turn turn, HttpConnectionManager* manager) {
  for (const auto& [name, asked] : asked_at(turn, target.policies)) {
    const bool is_refused = !asked.authorizer->trouble.empty();
    HttpRbac rbac;
    RBAC* rules = is_refused ? rbac.mutable_rules() : rbac.mutable_shadow_rules();
    rules->set_action(RBAC::DENY);
    for (const Authorization* policy : asked.policies) add_authorization_rules(*policy, target.app_port, true, rules);
    if (rules->policies().empty()) continue;
    if (!is_refused) rbac.set_shadow_rules_stat_prefix(mark_prefix(*asked.authorizer, turn));
    const char* when = turn == Turn::kAfterTokens ? "by_token/" : "";
    add_http_filter(absl::StrCat("weft.authorization.custom/", when, name).c_str(), rbac, manager);
    if (is_refused) continue;
    add_http_filter(absl::StrCat("weft.ext_authz/", when, name).c_str(), compile_question(*asked.authorizer, turn),
                    manager);
  }
}

std::vector<registry::ServiceName> authorizer_services(const registry::Authorizations& policies) {
  std::set<registry::ServiceName> names;
  for (const auto& policy : policies) {
    if (can_be_asked(*policy)) names.insert(policy->authorizer->service);
  }
  return {names.begin(), names.end()};
}

std::vector<snapshot::Reference> authorizer_clusters(const registry::Authorizations& policies) {
  std::set<std::string> names;
  for (const auto& policy : policies) {
    if (can_be_asked(*policy)) names.insert(port_name(policy->authorizer->service, policy->authorizer->port));
  }
  std::vector<snapshot::Reference> out;
  for (const std::string& name : names) out.push_back({snapshot::Type::kCluster, name});
  return out;
}

std::string authorizer_log_format(const registry::Authorizations& policies) {
  std::string out;
  for (const Turn turn : {Turn::kBeforeTokens, Turn::kAfterTokens}) {
    for (const auto& [name, asked] : asked_at(turn, policies)) {
      if (!asked.authorizer->trouble.empty()) continue;
      absl::StrAppend(&out, " %DYNAMIC_METADATA(", kMarks, ":", mark_key(*asked.authorizer, turn), ")%");
    }
  }
  return out;
}

}  // namespace weft::control::compile
