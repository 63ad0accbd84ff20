#include "control-plane/compile/authorization_rule.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/authorization.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/path_pattern.h"
#include "control-plane/compile/request_authentication.h"
#include "control-plane/compile/string_pattern.h"
#include "control-plane/registry/authorization_key.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::rbac::v3::Permission;
using envoy::config::rbac::v3::Policy;
using envoy::config::rbac::v3::Principal;
using envoy::type::matcher::v3::MetadataMatcher;
using envoy::type::matcher::v3::StringMatcher;
using registry::AuthorizationKey;
using Values = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::string_view kSpiffe = "spiffe://";

// The two messages are built alike; their fields have other names.
void both(std::vector<Permission> parts, Permission* out) {
  for (Permission& each : parts) *out->mutable_and_rules()->add_rules() = std::move(each);
  if (parts.empty()) out->set_any(true);
}
void both(std::vector<Principal> parts, Principal* out) {
  for (Principal& each : parts) *out->mutable_and_ids()->add_ids() = std::move(each);
  if (parts.empty()) out->set_any(true);
}
Permission* next(Permission* either) { return either->mutable_or_rules()->add_rules(); }
Principal* next(Principal* either) { return either->mutable_or_ids()->add_ids(); }
Permission* opposite(Permission* of) { return of->mutable_not_rule(); }
Principal* opposite(Principal* of) { return of->mutable_not_id(); }

// Collects what must hold together: one of some values, and none of others.
template <typename Message>
class Parts {
 public:
  using One = std::function<void(const std::string& value, Message* out)>;

  void add(const Values& values, const Values& not_values, const One& one) {
    if (!values.empty()) any_of(values, one, &parts_.emplace_back());
    if (!not_values.empty()) any_of(not_values, one, opposite(&parts_.emplace_back()));
  }
  std::vector<Message> take() { return std::move(parts_); }

 private:
  static void any_of(const Values& values, const One& one, Message* out) {
    for (const std::string& value : values) one(value, next(out));
  }
  std::vector<Message> parts_;
};

// ---- What is asked of the caller

void set_block(const std::string& value, envoy::config::core::v3::CidrRange* out) {
  const auto block = registry::parse_ip_block(value);
  if (!block.has_value()) return;  // Valid policies have none.
  out->set_address_prefix(block->address);
  out->mutable_prefix_len()->set_value(block->bits);
}

void set_principal(const std::string& value, Principal* out) {
  std::string_view name = value;
  StringMatcher* matcher = out->mutable_authenticated()->mutable_principal_name();
  if (name.starts_with(kSpiffe)) name.remove_prefix(kSpiffe.size());
  if (name == "*") {
    matcher->set_prefix(std::string(kSpiffe));
  } else {
    *matcher = string_pattern(name, kSpiffe);
  }
}

// A SPIFFE ID's parts have no slashes, so that what stands between them is the whole namespace.
void set_namespace(const std::string& value, Principal* out) {
  std::string part;
  if (value == "*") {
    part = "/ns/";
  } else if (value.ends_with('*')) {
    part = absl::StrCat("/ns/", value.substr(0, value.size() - 1));
  } else if (value.starts_with('*')) {
    part = absl::StrCat(value.substr(1), "/sa/");
  } else {
    part = absl::StrCat("/ns/", value, "/sa/");
  }
  out->mutable_authenticated()->mutable_principal_name()->set_contains(part);
}

void set_claim(const std::vector<std::string>& names, const StringMatcher& matcher, Principal* out) {
  MetadataMatcher* claim = out->mutable_metadata();
  claim->set_filter(kTokenFilter);
  claim->add_path()->set_key(kTokenPayload);
  for (const std::string& name : names) claim->add_path()->set_key(name);
  // One that has several values is a list.
  auto* either = claim->mutable_value()->mutable_or_match();
  *either->add_value_matchers()->mutable_string_match() = matcher;
  *either->add_value_matchers()->mutable_list_match()->mutable_one_of()->mutable_string_match() = matcher;
}

// "ISSUER/SUBJECT"; the issuer may have slashes.
void set_request_principal(const std::string& value, Principal* out) {
  const auto add = [&](const char* name, std::string_view part) {
    set_claim({name}, string_pattern(part), out->mutable_and_ids()->add_ids());
  };
  const size_t slash = value.rfind('/');
  if (slash != std::string::npos) {
    std::string_view issuer = std::string_view(value).substr(0, slash);
    std::string_view subject = std::string_view(value).substr(slash + 1);
    add("iss", issuer.empty() ? "*" : issuer);
    return add("sub", subject.empty() ? "*" : subject);
  }
  // Without a slash it is a pattern over the one or the other.
  const bool of_subject = value != "*" && value.starts_with('*');
  add("iss", of_subject ? "*" : value);
  add("sub", of_subject ? value : "*");
}

void set_condition(const AuthorizationKey& key, const std::string& value, Principal* out) {
  using Kind = AuthorizationKey::Kind;
  switch (key.kind) {
    case Kind::kHeader:
      out->mutable_header()->set_name(key.names[0]);
      *out->mutable_header()->mutable_string_match() = string_pattern(value);
      return;
    case Kind::kSourceIp:
      return set_block(value, out->mutable_direct_remote_ip());
    case Kind::kRemoteIp:
      return set_block(value, out->mutable_remote_ip());
    case Kind::kSourceNamespace:
      return set_namespace(value, out);
    case Kind::kSourcePrincipal:
      return set_principal(value, out);
    case Kind::kRequestPrincipal:
      return set_request_principal(value, out);
    case Kind::kAudiences:
      return set_claim({"aud"}, string_pattern(value), out);
    case Kind::kPresenter:
      return set_claim({"azp"}, string_pattern(value), out);
    case Kind::kClaim:
      return set_claim(key.names, string_pattern(value), out);
    case Kind::kDestinationIp:
    case Kind::kDestinationPort:
    case Kind::kServerName:
      return;  // Of the destination.
  }
}

bool is_of_destination(const AuthorizationKey& key) {
  using Kind = AuthorizationKey::Kind;
  return key.kind == Kind::kDestinationIp || key.kind == Kind::kDestinationPort || key.kind == Kind::kServerName;
}

// ---- What is asked of the destination and the operation

void set_port(const std::string& value, std::optional<uint16_t> app_port, Permission* out) {
  uint32_t port = 0;
  if (!absl::SimpleAtoi(value, &port)) return;  // Valid policies have none.
  if (!app_port.has_value()) {
    out->set_destination_port(port);
  } else if (port == *app_port) {
    out->set_any(true);
  } else {
    out->mutable_not_rule()->set_any(true);
  }
}

void set_host(const std::string& value, Permission* out) {
  const auto add = [&](StringMatcher matcher) {
    matcher.set_ignore_case(true);
    auto* header = out->mutable_or_rules()->add_rules()->mutable_header();
    header->set_name(":authority");
    *header->mutable_string_match() = std::move(matcher);
  };
  const bool whole = value.find('*') == std::string::npos;
  if (value == "*") {
    auto* header = out->mutable_header();
    header->set_name(":authority");
    header->set_present_match(true);
    return;
  }
  add(string_pattern(value));
  if (whole && value.find(':') == std::string::npos) add(string_pattern(absl::StrCat(value, ":*")));
}

void set_condition(const AuthorizationKey& key, const std::string& value, std::optional<uint16_t> app_port,
                   Permission* out) {
  using Kind = AuthorizationKey::Kind;
  if (key.kind == Kind::kDestinationPort) {
    set_port(value, app_port, out);
  } else if (key.kind == Kind::kDestinationIp) {
    set_block(value, out->mutable_destination_ip());
  } else {
    *out->mutable_requested_server_name() = string_pattern(value);
  }
}

bool asks_for_requests(const v1::AuthorizationSource& source) {
  return !source.request_principals().empty() || !source.not_request_principals().empty();
}

bool asks_for_requests(const v1::AuthorizationOperation& operation) {
  return !operation.hosts().empty() || !operation.not_hosts().empty() || !operation.methods().empty() ||
         !operation.not_methods().empty() || !operation.paths().empty() || !operation.not_paths().empty();
}

bool asks_for_requests(const v1::AuthorizationCondition& condition) {
  const auto key = registry::parse_authorization_key(condition.key());
  return key.has_value() && key->of_request();
}

void add_source(const v1::AuthorizationSource& source, const AuthorizationRuleOptions& options,
                Parts<Principal>* parts) {
  parts->add(source.principals(), source.not_principals(), set_principal);
  parts->add(source.namespaces(), source.not_namespaces(), set_namespace);
  parts->add(source.ip_blocks(), source.not_ip_blocks(),
             [](const std::string& value, Principal* out) { set_block(value, out->mutable_direct_remote_ip()); });
  parts->add(source.remote_ip_blocks(), source.not_remote_ip_blocks(),
             [](const std::string& value, Principal* out) { set_block(value, out->mutable_remote_ip()); });
  if (!options.is_http) return;
  parts->add(source.request_principals(), source.not_request_principals(), set_request_principal);
}

void add_operation(const v1::AuthorizationOperation& operation, const AuthorizationRuleOptions& options,
                   Parts<Permission>* parts) {
  parts->add(operation.ports(), operation.not_ports(),
             [&](const std::string& value, Permission* out) { set_port(value, options.app_port, out); });
  if (!options.is_http) return;
  parts->add(operation.hosts(), operation.not_hosts(), set_host);
  parts->add(operation.methods(), operation.not_methods(), [](const std::string& value, Permission* out) {
    out->mutable_header()->set_name(":method");
    *out->mutable_header()->mutable_string_match() = string_pattern(value);
  });
  // In doubt a call is refused.
  const Values none;
  parts->add(operation.paths(), none, options.refuses ? set_path_in_any_writing : set_path);
  parts->add(none, operation.not_paths(), options.refuses ? set_path : set_path_in_any_writing);
}

class RuleCompiler {
 public:
  RuleCompiler(const v1::AuthorizationRule& rule, const AuthorizationRuleOptions& options)
      : rule_(rule), options_(options) {}

  std::optional<Policy> compile() {
    for (const auto& condition : rule_.when()) {
      if (is_out_of_reach(condition)) return std::nullopt;
    }
    Policy policy;
    for (const auto& from : rule_.from()) {
      if (is_out_of_reach(from.source())) continue;
      Parts<Principal> parts;
      add_source(from.source(), options_, &parts);
      add_conditions(&parts);
      both(parts.take(), policy.add_principals());
    }
    for (const auto& to : rule_.to()) {
      if (is_out_of_reach(to.operation())) continue;
      Parts<Permission> parts;
      add_operation(to.operation(), options_, &parts);
      add_conditions(&parts);
      both(parts.take(), policy.add_permissions());
    }
    if (rule_.from().empty()) add_alone(policy.add_principals());
    if (rule_.to().empty()) add_alone(policy.add_permissions());
    if (policy.principals().empty() || policy.permissions().empty()) return std::nullopt;
    return policy;
  }

 private:
  // It cannot hold, as it asks a connection for what only requests have.
  template <typename Asked>
  bool is_out_of_reach(const Asked& asked) const {
    return !options_.is_http && !options_.refuses && asks_for_requests(asked);
  }

  template <typename Message>
  void add_alone(Message* out) {
    Parts<Message> parts;
    add_conditions(&parts);
    both(parts.take(), out);
  }

  void add_conditions(Parts<Principal>* parts) {
    for_each_condition(false, [&](const AuthorizationKey& key, const v1::AuthorizationCondition& condition) {
      parts->add(condition.values(), condition.not_values(),
                 [&](const std::string& value, Principal* out) { set_condition(key, value, out); });
    });
  }
  void add_conditions(Parts<Permission>* parts) {
    for_each_condition(true, [&](const AuthorizationKey& key, const v1::AuthorizationCondition& condition) {
      parts->add(condition.values(), condition.not_values(),
                 [&](const std::string& value, Permission* out) { set_condition(key, value, options_.app_port, out); });
    });
  }
  template <typename Visit>
  void for_each_condition(bool of_destination, const Visit& visit) {
    for (const auto& condition : rule_.when()) {
      const auto key = registry::parse_authorization_key(condition.key());
      if (!key.has_value() || is_of_destination(*key) != of_destination) continue;
      if (options_.is_http || !key->of_request()) visit(*key, condition);
    }
  }

  const v1::AuthorizationRule& rule_;
  const AuthorizationRuleOptions& options_;
};

}  // namespace

bool asks_for_requests(const v1::AuthorizationRule& rule) {
  for (const auto& from : rule.from()) {
    if (asks_for_requests(from.source())) return true;
  }
  for (const auto& to : rule.to()) {
    if (asks_for_requests(to.operation())) return true;
  }
  for (const auto& condition : rule.when()) {
    if (asks_for_requests(condition)) return true;
  }
  return false;
}

bool is_of_token(const v1::AuthorizationCondition& condition) {
  const auto key = registry::parse_authorization_key(condition.key());
  return key.has_value() && key->of_token();
}

bool speaks_of_tokens(const v1::AuthorizationRule& rule) {
  return std::any_of(rule.from().begin(), rule.from().end(),
                     [](const auto& from) { return asks_for_requests(from.source()); }) ||
         std::any_of(rule.when().begin(), rule.when().end(), is_of_token);
}

void add_authorization_rules(const registry::Authorization& policy, std::optional<uint16_t> app_port, bool is_http,
                             envoy::config::rbac::v3::RBAC* out) {
  using Action = registry::Authorization::Action;
  const bool refuses = policy.action == Action::kDeny || policy.action == Action::kCustom;
  for (int i = 0; i < policy.spec->rules_size(); ++i) {
    auto compiled = compile_authorization_rule(policy.spec->rules(i), {app_port, is_http, refuses});
    if (!compiled.has_value()) continue;
    std::string name = route_name(policy.origin.key, static_cast<size_t>(i));
    if (policy.action == Action::kCustom) absl::StrAppend(&name, "@", policy.authorizer->name);
    (*out->mutable_policies())[name] = *std::move(compiled);
  }
}

std::optional<Policy> compile_authorization_rule(const v1::AuthorizationRule& rule,
                                                 const AuthorizationRuleOptions& options) {
  return RuleCompiler(rule, options).compile();
}

}  // namespace weft::control::compile
