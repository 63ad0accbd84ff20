#include "control-plane/compile/filter.h"

#include "absl/strings/str_cat.h"
#include "re2/re2.h"

namespace weft::control::compile {

namespace {

using envoy::config::core::v3::HeaderValueOption;
using envoy::config::route::v3::RedirectAction;
using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteAction;
using gateway::v1::HTTPHeaderFilter;
using gateway::v1::HTTPPathModifier;
using gateway::v1::HTTPRouteFilter;
using gateway::v1::HTTPRouteMatch;

constexpr char kAnyPath[] = "^/.*$";

void add_headers(const HTTPHeaderFilter& filter, google::protobuf::RepeatedPtrField<HeaderValueOption>& out) {
  const auto add = [&](const gateway::v1::HTTPHeader& header, HeaderValueOption::HeaderAppendAction action) {
    HeaderValueOption* option = out.Add();
    option->mutable_header()->set_key(header.name());
    // A per cent sign begins a command on the wire; here it is itself.
    std::string value;
    for (const char c : header.value()) value.append(c == '%' ? 2 : 1, c);
    option->mutable_header()->set_value(value);
    option->set_append_action(action);
  };
  for (const auto& header : filter.set()) add(header, HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  for (const auto& header : filter.add()) add(header, HeaderValueOption::APPEND_IF_EXISTS_OR_ADD);
}

template <typename Out>
void apply(const HTTPHeaderFilter& request, const HTTPHeaderFilter& response, Out& out) {
  add_headers(request, *out.mutable_request_headers_to_add());
  for (const std::string& name : request.remove()) out.add_request_headers_to_remove(name);
  add_headers(response, *out.mutable_response_headers_to_add());
  for (const std::string& name : response.remove()) out.add_response_headers_to_remove(name);
}

std::string without_end_slash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

// `Out` is RedirectAction or RouteAction: both rewrite prefixes and by regular expressions.
template <typename Out>
void replace_prefix(const HTTPPathModifier& path, const HTTPRouteMatch& match, Out& out) {
  const std::string from = without_end_slash(match.path().has_value() ? match.path().value() : "/");
  const std::string to = without_end_slash(path.replace_prefix_match());
  // The slash after the prefix stays one, and a path is never empty: "/shop" for "/" makes "/a" "/shop/a", and "/" for
  // "/shop" makes "/shop/a" "/a" and "/shop" "/".
  if (to.empty()) {
    auto* regex = out.mutable_regex_rewrite();
    regex->mutable_pattern()->set_regex(absl::StrCat("^", re2::RE2::QuoteMeta(from), "/*"));
    regex->set_substitution("/");
  } else if (from.empty()) {
    out.set_prefix_rewrite(absl::StrCat(to, "/"));
  } else {
    out.set_prefix_rewrite(to);
  }
}

RedirectAction::RedirectResponseCode redirect_code(uint32_t status) {
  switch (status) {
    case 301:
      return RedirectAction::MOVED_PERMANENTLY;
    case 303:
      return RedirectAction::SEE_OTHER;
    case 307:
      return RedirectAction::TEMPORARY_REDIRECT;
    case 308:
      return RedirectAction::PERMANENT_REDIRECT;
    default:
      return RedirectAction::FOUND;
  }
}

}  // namespace

void apply_header_filter(const HTTPHeaderFilter& request, const HTTPHeaderFilter& response, Route& out) {
  apply(request, response, out);
}
void apply_header_filter(const HTTPHeaderFilter& request, const HTTPHeaderFilter& response,
                         envoy::config::route::v3::WeightedCluster::ClusterWeight& out) {
  apply(request, response, out);
}

bool apply_redirect(const gateway::v1::HTTPRouteRule& rule, const HTTPRouteMatch& match, Route& out) {
  for (const HTTPRouteFilter& filter : rule.filters()) {
    if (!filter.has_request_redirect()) continue;
    const auto& redirect = filter.request_redirect();
    RedirectAction& action = *out.mutable_redirect();
    action.set_host_redirect(redirect.hostname());
    if (!redirect.scheme().empty()) action.set_scheme_redirect(redirect.scheme());
    if (redirect.port() != 0) action.set_port_redirect(redirect.port());
    if (redirect.path().has_replace_full_path()) action.set_path_redirect(redirect.path().replace_full_path());
    if (redirect.path().has_replace_prefix_match()) replace_prefix(redirect.path(), match, action);
    action.set_response_code(redirect_code(redirect.status_code()));
    return true;
  }
  return false;
}
bool apply_redirect(const gateway::v1::GRPCRouteRule&, const gateway::v1::GRPCRouteMatch&, Route&) { return false; }

void apply_rewrite(const gateway::v1::HTTPRouteRule& rule, const HTTPRouteMatch& match, RouteAction& out) {
  for (const HTTPRouteFilter& filter : rule.filters()) {
    if (!filter.has_url_rewrite()) continue;
    const auto& rewrite = filter.url_rewrite();
    if (!rewrite.hostname().empty()) out.set_host_rewrite_literal(rewrite.hostname());
    if (rewrite.path().has_replace_full_path()) {
      auto* regex = out.mutable_regex_rewrite();
      regex->mutable_pattern()->set_regex(kAnyPath);
      // A backslash begins a group's number on the wire; here it is itself.
      std::string path;
      for (const char c : rewrite.path().replace_full_path()) path.append(c == '\\' ? 2 : 1, c);
      regex->set_substitution(path);
    } else if (rewrite.path().has_replace_prefix_match()) {
      replace_prefix(rewrite.path(), match, out);
    }
  }
}
void apply_rewrite(const gateway::v1::GRPCRouteRule&, const gateway::v1::GRPCRouteMatch&, RouteAction&) {}

void add_mirror(const gateway::v1::HTTPRequestMirrorFilter& mirror, const std::string& cluster, RouteAction& out) {
  auto* policy = out.add_request_mirror_policies();
  policy->set_cluster(cluster);
  double share = 1;
  if (mirror.has_percent()) {
    share = mirror.percent() / 100.0;
  } else if (mirror.has_fraction()) {
    const uint32_t denominator = mirror.fraction().has_denominator() ? mirror.fraction().denominator() : 100;
    share = denominator == 0 ? 0 : static_cast<double>(mirror.fraction().numerator()) / denominator;
  }
  auto* fraction = policy->mutable_runtime_fraction()->mutable_default_value();
  fraction->set_numerator(static_cast<uint32_t>(share * 1'000'000 + 0.5));
  fraction->set_denominator(envoy::type::v3::FractionalPercent::MILLION);
}

}  // namespace weft::control::compile
