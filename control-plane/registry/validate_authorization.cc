#include <charconv>

#include "control-plane/registry/authorization_key.h"
#include "control-plane/registry/check.h"
#include "control-plane/registry/visibility.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::registry {

namespace {

using text::cat;
using Values = google::protobuf::RepeatedPtrField<std::string>;

// "word", "prefix*", "*suffix" or "*".
bool is_pattern(std::string_view value) {
  if (value.empty()) return false;
  const size_t star = value.find('*');
  if (star == std::string_view::npos || value.size() == 1) return true;
  return (star == 0 || star + 1 == value.size()) && value.find('*', star + 1) == std::string_view::npos;
}

bool is_port(std::string_view value) {
  uint32_t number = 0;
  const auto result = std::from_chars(value.data(), value.data() + value.size(), number);
  return result.ec == std::errc() && result.ptr == value.data() + value.size() && number >= 1 && number <= 65535;
}

constexpr std::string_view kSegmentCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()+,;:@=";

// Whole segments "{*}" and, at the end, "{**}" between texts without braces and stars.
bool is_path_template(std::string_view value) {
  if (!value.starts_with('/')) return false;
  while (!value.empty()) {
    value.remove_prefix(1);
    const std::string_view segment = value.substr(0, value.find('/'));
    value.remove_prefix(segment.size());
    if (segment == "{**}") return value.empty();
    if (segment != "{*}" && segment.find_first_not_of(kSegmentCharacters) != std::string_view::npos) return false;
    if (segment.empty() && !value.empty()) return false;
  }
  return true;
}

bool is_path(std::string_view value) {
  if (value.find_first_of("{}") != std::string_view::npos) return is_path_template(value);
  return is_pattern(value) && (value.starts_with('/') || value.starts_with('*'));
}

using Right = bool (*)(std::string_view);

void check_values(const Values& values, const std::string& path, Right right, std::string_view expected, Check* check) {
  for (int i = 0; i < values.size(); ++i) {
    check->expect(right(values[i]), text::index_path(path, static_cast<size_t>(i)), expected, values[i]);
  }
}

constexpr std::string_view kPatternText = "a text that is not empty, with at most one *, first or last";
constexpr std::string_view kBlockText = "an IP address, or one with /bits";
constexpr std::string_view kPortText = "a number from 1 to 65535";

void check_source(const v1::AuthorizationSource& source, const std::string& path, Check* check) {
  if (source.ByteSizeLong() == 0) return check->fail(path, "expected at least one of its lists");
  const auto patterns = [&](const Values& values, std::string_view field) {
    check_values(values, at(path, field), is_pattern, kPatternText, check);
  };
  const auto blocks = [&](const Values& values, std::string_view field) {
    check_values(values, at(path, field), is_ip_block, kBlockText, check);
  };
  patterns(source.principals(), "principals");
  patterns(source.not_principals(), "notPrincipals");
  patterns(source.request_principals(), "requestPrincipals");
  patterns(source.not_request_principals(), "notRequestPrincipals");
  patterns(source.namespaces(), "namespaces");
  patterns(source.not_namespaces(), "notNamespaces");
  blocks(source.ip_blocks(), "ipBlocks");
  blocks(source.not_ip_blocks(), "notIpBlocks");
  blocks(source.remote_ip_blocks(), "remoteIpBlocks");
  blocks(source.not_remote_ip_blocks(), "notRemoteIpBlocks");
}

void check_operation(const v1::AuthorizationOperation& operation, const std::string& path, Check* check) {
  if (operation.ByteSizeLong() == 0) return check->fail(path, "expected at least one of its lists");
  const auto values = [&](const Values& list, std::string_view field, Right right, std::string_view expected) {
    check_values(list, at(path, field), right, expected, check);
  };
  constexpr std::string_view kPathText =
      "a path: \"/exact\", \"/prefix*\", \"*suffix\", \"*\", or segments with {*} and, at the end, {**}";
  values(operation.hosts(), "hosts", is_pattern, kPatternText);
  values(operation.not_hosts(), "notHosts", is_pattern, kPatternText);
  values(operation.ports(), "ports", is_port, kPortText);
  values(operation.not_ports(), "notPorts", is_port, kPortText);
  values(operation.methods(), "methods", is_pattern, kPatternText);
  values(operation.not_methods(), "notMethods", is_pattern, kPatternText);
  values(operation.paths(), "paths", is_path, kPathText);
  values(operation.not_paths(), "notPaths", is_path, kPathText);
}

void check_condition(const v1::AuthorizationCondition& condition, const std::string& path, Check* check) {
  const std::optional<AuthorizationKey> key = parse_authorization_key(condition.key());
  if (!key.has_value()) {
    return check->expect(false, at(path, "key"),
                         "request.headers[NAME], source.ip, remote.ip, source.namespace, source.principal, "
                         "request.auth.principal, request.auth.audiences, request.auth.presenter, "
                         "request.auth.claims[NAME], destination.ip, destination.port or connection.sni",
                         condition.key());
  }
  if (condition.values().empty() && condition.not_values().empty()) {
    check->fail(path, "expected values or notValues");
  }
  using Kind = AuthorizationKey::Kind;
  const bool block = key->kind == Kind::kSourceIp || key->kind == Kind::kRemoteIp || key->kind == Kind::kDestinationIp;
  const bool port = key->kind == Kind::kDestinationPort;
  const Right right = block ? is_ip_block : port ? is_port : is_pattern;
  const std::string_view expected = block ? kBlockText : port ? kPortText : kPatternText;
  check_values(condition.values(), at(path, "values"), right, expected, check);
  check_values(condition.not_values(), at(path, "notValues"), right, expected, check);
}

void check_rule(const v1::AuthorizationRule& rule, const std::string& path, Check* check) {
  for (int i = 0; i < rule.from_size(); ++i) {
    check_source(rule.from(i).source(), at(at(path, "from", i), "source"), check);
  }
  for (int i = 0; i < rule.to_size(); ++i) {
    check_operation(rule.to(i).operation(), at(at(path, "to", i), "operation"), check);
  }
  for (int i = 0; i < rule.when_size(); ++i) check_condition(rule.when(i), at(path, "when", i), check);
}

}  // namespace

void check_service_targets(const google::protobuf::RepeatedPtrField<v1::TargetReference>& targets,
                           const kubernetes::meta::v1::ObjectMeta& metadata, Check* check) {
  if (!targets.empty() && metadata.namespace_() == kRootNamespace) {
    check->fail("spec.targetRefs", cat("expected none: a policy of ", kRootNamespace, " holds for the whole mesh"));
  }
  for (int i = 0; i < targets.size(); ++i) {
    const std::string path = at("spec", "targetRefs", i);
    if (!targets[i].group().empty() || targets[i].kind() != "Service") {
      check->fail(path, "expected kind Service with group \"\"");
    }
    check->expect(is_dns_label(targets[i].name()), at(path, "name"), "a service's name", targets[i].name());
    if (!targets[i].section_name().empty()) {
      check->fail(at(path, "sectionName"), "expected none; a rule may say to.operation.ports");
    }
  }
}

void check(const v1::AuthorizationPolicy& policy, Check* check) {
  const auto& spec = policy.spec();
  check_service_targets(spec.target_refs(), policy.metadata(), check);
  check->one_of(spec.action(), "spec.action", {"", "ALLOW", "DENY", "AUDIT", "CUSTOM"});
  const bool is_custom = spec.action() == "CUSTOM";
  if (is_custom) {
    check->expect(is_dns_label(spec.provider().name()), "spec.provider.name", "an ExternalAuthorizer's name",
                  spec.provider().name());
  } else if (spec.has_provider()) {
    check->fail("spec.provider", "expected none: only a policy with action CUSTOM has one");
  }
  for (int i = 0; i < spec.rules_size(); ++i) check_rule(spec.rules(i), at("spec", "rules", i), check);
  const auto dry_run = policy.metadata().annotations().find(kDryRunAnnotation);
  if (dry_run == policy.metadata().annotations().end()) return;
  const std::string path = text::key_path("metadata.annotations", kDryRunAnnotation);
  check->one_of(dry_run->second, path, {"true", "false"});
  if (dry_run->second == "true" && is_custom) {
    check->fail(path, "expected none: who a provider would refuse is not known without asking it");
  }
  if (dry_run->second == "true" && spec.action() == "AUDIT") {
    check->fail(path, "expected none: an AUDIT policy refuses nobody anyway");
  }
}

}  // namespace weft::control::registry
