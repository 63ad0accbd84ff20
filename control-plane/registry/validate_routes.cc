#include <re2/re2.h>

#include <set>

#include "control-plane/registry/check.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "gateway/v1/reference_grant.pb.h"
#include "gateway/v1/stream_route.pb.h"

namespace weft::control::registry {

using text::cat;

namespace {

constexpr uint32_t kMaxWeight = 1'000'000;

// What of a route's own object every kind of route has.
template <typename Spec>
void check_parents(const Spec& spec, Check* check) {
  if (spec.parent_refs().empty()) check->fail("spec.parentRefs", "expected at least one service to attach to");
  for (int i = 0; i < spec.parent_refs_size(); ++i) {
    const auto& parent = spec.parent_refs(i);
    const std::string path = at("spec", "parentRefs", i);
    const bool service = parent.has_group() && parent.group().empty() && parent.kind() == "Service";
    const bool external = parent.group() == "weft.mesh" && parent.kind() == "ExternalService";
    if (!service && !external) {
      check->fail(path, "expected kind Service with group \"\", or kind ExternalService with group weft.mesh");
    }
    check->expect(is_dns_label(parent.name()), at(path, "name"), "a service's name", parent.name());
    if (!parent.namespace_().empty()) {
      check->expect(is_dns_label(parent.namespace_()), at(path, "namespace"), "a namespace", parent.namespace_());
    }
    if (parent.port() != 0) check->port(parent.port(), at(path, "port"));
  }
  if (spec.rules().empty()) check->fail("spec.rules", "expected at least one rule");
}

template <typename Reference>
void check_backend(const Reference& backend, const std::string& path, Check* check) {
  check->expect(is_dns_name(backend.name()), at(path, "name"), "a service's name", backend.name());
  if (!backend.namespace_().empty()) {
    check->expect(is_dns_label(backend.namespace_()), at(path, "namespace"), "a namespace", backend.namespace_());
  }
  check->port(backend.port(), at(path, "port"));
  if (backend.has_weight()) check->range(backend.weight(), at(path, "weight"), 0, kMaxWeight);
}

void check_regex(const std::string& pattern, const std::string& path, Check* check) {
  const re2::RE2 regex(pattern, re2::RE2::Quiet);
  if (!regex.ok()) check->fail(path, cat("not a regular expression: ", regex.error()));
}

// A match of a value: Exact or RegularExpression.
template <typename Match>
void check_value(const Match& match, const std::string& path, Check* check) {
  check->one_of(match.type(), at(path, "type"), {"", "Exact", "RegularExpression"});
  if (match.type() == "RegularExpression") check_regex(match.value(), at(path, "value"), check);
}

template <typename Headers>
void check_headers(const Headers& headers, const std::string& path, Check* check) {
  for (int i = 0; i < headers.size(); ++i) {
    const std::string here = at(path, "headers", i);
    check->expect(is_token(headers[i].name()), at(here, "name"), "a header's name", headers[i].name());
    check_value(headers[i], here, check);
  }
}

void check_http_match(const gateway::v1::HTTPRouteMatch& match, const std::string& path, Check* check) {
  const std::string type = at(path, "path");
  check->one_of(match.path().type(), at(type, "type"), {"", "PathPrefix", "Exact", "RegularExpression"});
  if (match.path().type() == "RegularExpression") {
    check_regex(match.path().value(), at(type, "value"), check);
  } else if (match.path().has_value()) {
    check->expect(match.path().value().starts_with("/"), at(type, "value"), "a path that begins with /",
                  match.path().value());
  }
  if (!match.method().empty()) {
    check->expect(is_token(match.method()), at(path, "method"), "a method such as GET", match.method());
  }
  check_headers(match.headers(), path, check);
  for (int i = 0; i < match.query_params_size(); ++i) {
    const std::string here = at(path, "queryParams", i);
    if (match.query_params(i).name().empty()) check->fail(at(here, "name"), "expected a parameter's name");
    check_value(match.query_params(i), here, check);
  }
}

void check_header_filter(const gateway::v1::HTTPHeaderFilter& filter, const std::string& path, Check* check) {
  for (int i = 0; i < filter.set_size(); ++i) {
    check->expect(is_token(filter.set(i).name()), at(path, "set", i), "a header's name", filter.set(i).name());
  }
  for (int i = 0; i < filter.add_size(); ++i) {
    check->expect(is_token(filter.add(i).name()), at(path, "add", i), "a header's name", filter.add(i).name());
  }
  for (int i = 0; i < filter.remove_size(); ++i) {
    check->expect(is_token(filter.remove(i)), at(path, "remove", i), "a header's name", filter.remove(i));
  }
}

void check_path_modifier(const gateway::v1::HTTPPathModifier& modifier, const std::string& path, Check* check) {
  check->one_of(modifier.type(), at(path, "type"), {"ReplaceFullPath", "ReplacePrefixMatch"});
  const bool full = modifier.type() == "ReplaceFullPath";
  if (modifier.has_replace_full_path() != full) {
    check->fail(at(path, "replaceFullPath"), "set exactly when type is ReplaceFullPath");
  }
  if (modifier.has_replace_prefix_match() == full) {
    check->fail(at(path, "replacePrefixMatch"), "set exactly when type is ReplacePrefixMatch");
  }
}

void check_mirror(const gateway::v1::HTTPRequestMirrorFilter& mirror, const std::string& path, Check* check) {
  check_backend(mirror.backend_ref(), at(path, "backendRef"), check);
  if (mirror.has_percent()) check->range(mirror.percent(), at(path, "percent"), 0, 100);
  if (!mirror.has_fraction()) return;
  if (mirror.has_percent()) check->fail(at(path, "fraction"), "percent is set too; expected one of the two");
  const uint32_t denominator = mirror.fraction().has_denominator() ? mirror.fraction().denominator() : 100;
  if (denominator == 0) check->fail(at(path, "fraction.denominator"), "expected at least 1; got 0");
  check->range(mirror.fraction().numerator(), at(path, "fraction.numerator"), 0, denominator);
}

void check_redirect(const gateway::v1::HTTPRequestRedirectFilter& redirect, const std::string& path, Check* check) {
  check->one_of(redirect.scheme(), at(path, "scheme"), {"", "http", "https"});
  if (!redirect.hostname().empty()) check->dns_name(redirect.hostname(), at(path, "hostname"));
  if (redirect.has_path()) check_path_modifier(redirect.path(), at(path, "path"), check);
  if (redirect.port() != 0) check->port(redirect.port(), at(path, "port"));
  const uint32_t code = redirect.status_code();
  if (code != 0 && code != 301 && code != 302 && code != 303 && code != 307 && code != 308) {
    check->fail(at(path, "statusCode"), cat("expected 301, 302, 303, 307 or 308; got ", code));
  }
}

// The filters that HTTP and gRPC share. `type` names one field, and only it may be set.
template <typename Filter>
void check_shared_filter(const Filter& filter, const std::string& path, Check* check) {
  const auto belongs = [&](bool set, std::string_view type, std::string_view field) {
    if (set == (filter.type() == type)) return;
    check->fail(at(path, field), set ? cat("type is ", filter.type(), "; only its own field may be set")
                                     : cat("expected it, as type is ", type));
  };
  belongs(filter.has_request_header_modifier(), "RequestHeaderModifier", "requestHeaderModifier");
  belongs(filter.has_response_header_modifier(), "ResponseHeaderModifier", "responseHeaderModifier");
  belongs(filter.has_request_mirror(), "RequestMirror", "requestMirror");
  check_header_filter(filter.request_header_modifier(), at(path, "requestHeaderModifier"), check);
  check_header_filter(filter.response_header_modifier(), at(path, "responseHeaderModifier"), check);
  if (filter.has_request_mirror()) check_mirror(filter.request_mirror(), at(path, "requestMirror"), check);
  if constexpr (requires { filter.url_rewrite(); }) {
    belongs(filter.has_request_redirect(), "RequestRedirect", "requestRedirect");
    belongs(filter.has_url_rewrite(), "URLRewrite", "urlRewrite");
  }
}

void check_filter(const gateway::v1::HTTPRouteFilter& filter, const std::string& path, Check* check) {
  check->one_of(filter.type(), at(path, "type"),
                {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite"});
  check_shared_filter(filter, path, check);
  if (filter.has_request_redirect()) check_redirect(filter.request_redirect(), at(path, "requestRedirect"), check);
  const std::string rewrite = at(path, "urlRewrite");
  if (filter.url_rewrite().has_path()) check_path_modifier(filter.url_rewrite().path(), at(rewrite, "path"), check);
  if (!filter.url_rewrite().hostname().empty()) {
    check->dns_name(filter.url_rewrite().hostname(), at(rewrite, "hostname"));
  }
}

void check_filter(const gateway::v1::GRPCRouteFilter& filter, const std::string& path, Check* check) {
  check->one_of(filter.type(), at(path, "type"), {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror"});
  check_shared_filter(filter, path, check);
}

template <typename Rule>
void check_backends_and_filters(const Rule& rule, const std::string& path, Check* check) {
  for (int i = 0; i < rule.filters_size(); ++i) check_filter(rule.filters(i), at(path, "filters", i), check);
  for (int i = 0; i < rule.backend_refs_size(); ++i) {
    const std::string here = at(path, "backendRefs", i);
    check_backend(rule.backend_refs(i), here, check);
    for (int j = 0; j < rule.backend_refs(i).filters_size(); ++j) {
      check_filter(rule.backend_refs(i).filters(j), at(here, "filters", j), check);
    }
  }
}

// The hosts of a route that attaches to a service are the service's.
template <typename Spec>
void check_no_hostnames(const Spec& spec, Check* check) {
  if (!spec.hostnames().empty()) {
    check->fail("spec.hostnames", "expected none: a route that attaches to a service has the service's own hosts");
  }
}

void check_http_rule(const gateway::v1::HTTPRouteRule& rule, const std::string& path, Check* check) {
  for (int i = 0; i < rule.matches_size(); ++i) check_http_match(rule.matches(i), at(path, "matches", i), check);
  check_backends_and_filters(rule, path, check);
  bool redirects = false;
  for (const auto& filter : rule.filters()) redirects = redirects || filter.has_request_redirect();
  if (redirects && !rule.backend_refs().empty()) {
    check->fail(at(path, "backendRefs"), "expected none, as the rule redirects every request");
  }
  const std::string timeouts = at(path, "timeouts");
  check->optional_duration(rule.timeouts().request(), at(timeouts, "request"));
  check->optional_duration(rule.timeouts().backend_request(), at(timeouts, "backendRequest"));
  const int64_t whole_ms = parse_duration_ms(rule.timeouts().request()).value_or(0);
  const int64_t attempt_ms = parse_duration_ms(rule.timeouts().backend_request()).value_or(0);
  if (whole_ms > 0 && attempt_ms > whole_ms) {
    check->fail(at(timeouts, "backendRequest"), cat("expected at most timeouts.request, ", rule.timeouts().request(),
                                                    "; got ", rule.timeouts().backend_request()));
  }
  const std::string retry = at(path, "retry");
  for (int i = 0; i < rule.retry().codes_size(); ++i)
    check->range(rule.retry().codes(i), at(retry, "codes", i), 400, 599);
  check->optional_duration(rule.retry().backoff(), at(retry, "backoff"));
}

}  // namespace

void check(const gateway::v1::HTTPRoute& route, Check* check) {
  check_parents(route.spec(), check);
  check_no_hostnames(route.spec(), check);
  for (int i = 0; i < route.spec().rules_size(); ++i) {
    check_http_rule(route.spec().rules(i), at("spec", "rules", i), check);
  }
}

void check(const gateway::v1::GRPCRoute& route, Check* check) {
  check_parents(route.spec(), check);
  check_no_hostnames(route.spec(), check);
  for (int i = 0; i < route.spec().rules_size(); ++i) {
    const auto& rule = route.spec().rules(i);
    const std::string path = at("spec", "rules", i);
    for (int j = 0; j < rule.matches_size(); ++j) {
      const auto& match = rule.matches(j);
      const std::string here = at(path, "matches", j);
      const std::string method = at(here, "method");
      check_headers(match.headers(), here, check);
      if (!match.has_method()) continue;
      check->one_of(match.method().type(), at(method, "type"), {"", "Exact", "RegularExpression"});
      if (match.method().service().empty() && match.method().method().empty()) {
        check->fail(method, "expected a service or a method");
      }
      if (match.method().type() != "RegularExpression") continue;
      check_regex(match.method().service(), at(method, "service"), check);
      check_regex(match.method().method(), at(method, "method"), check);
    }
    check_backends_and_filters(rule, path, check);
  }
}

namespace {

template <typename Spec>
void check_stream_route(const Spec& spec, Check* check) {
  check_parents(spec, check);
  for (int i = 0; i < spec.rules_size(); ++i) {
    const std::string path = at("spec", "rules", i);
    if (spec.rules(i).backend_refs().empty()) check->fail(at(path, "backendRefs"), "expected at least one backend");
    for (int j = 0; j < spec.rules(i).backend_refs_size(); ++j) {
      check_backend(spec.rules(i).backend_refs(j), at(path, "backendRefs", j), check);
    }
  }
  if (spec.rules_size() > 1) check->fail("spec.rules[1]", "expected one rule: nothing would ever reach a second");
}

}  // namespace

void check(const gateway::v1::TCPRoute& route, Check* check) { check_stream_route(route.spec(), check); }

void check(const gateway::v1::TLSRoute& route, Check* check) {
  check_stream_route(route.spec(), check);
  std::set<std::string> hostnames;
  for (int i = 0; i < route.spec().hostnames_size(); ++i) {
    const std::string& hostname = route.spec().hostnames(i);
    const std::string path = at("spec", "hostnames", i);
    // RFC 6066, section 3: a server name is no address.
    check->expect(is_host_pattern(hostname) && !is_ip(hostname), path, "a DNS name, or one with *. before", hostname);
    if (!hostnames.insert(hostname).second) check->fail(path, "the name stands a second time");
  }
}

void check(const gateway::v1::ReferenceGrant& grant, Check* check) {
  if (grant.spec().from().empty()) check->fail("spec.from", "expected at least one");
  if (grant.spec().to().empty()) check->fail("spec.to", "expected at least one");
  for (int i = 0; i < grant.spec().from_size(); ++i) {
    const auto& from = grant.spec().from(i);
    const std::string path = at("spec", "from", i);
    if (from.kind().empty()) check->fail(at(path, "kind"), "expected a kind, such as HTTPRoute");
    check->expect(is_dns_label(from.namespace_()), at(path, "namespace"), "a namespace", from.namespace_());
  }
  for (int i = 0; i < grant.spec().to_size(); ++i) {
    if (grant.spec().to(i).kind().empty())
      check->fail(at(at("spec", "to", i), "kind"), "expected a kind, such as Service");
  }
}

}  // namespace weft::control::registry
