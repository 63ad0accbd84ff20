#include "control-plane/compile/match.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "re2/re2.h"

namespace weft::control::compile {

namespace {

using envoy::config::route::v3::RouteMatch;

constexpr char kRegularExpression[] = "RegularExpression";
constexpr char kAnyMethodName[] = "[^/]+";

void add_header(const std::string& name, const std::string& value, bool is_regex, RouteMatch& out) {
  auto* header = out.add_headers();
  header->set_name(name);
  if (is_regex) {
    header->mutable_string_match()->mutable_safe_regex()->set_regex(value);
  } else {
    header->mutable_string_match()->set_exact(value);
  }
}

void set_prefix(std::string prefix, const Audience& audience, RouteMatch& out) {
  while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
  if (prefix.empty() || prefix == "/") {
    out.set_prefix("/");
  } else if (audience.is_grpc_client) {
    // Its clients do not know prefixes of whole segments.
    out.mutable_safe_regex()->set_regex(absl::StrCat(re2::RE2::QuoteMeta(prefix), "(/.*)?"));
  } else {
    out.set_path_separated_prefix(prefix);
  }
}

}  // namespace

Precedence compile_match(const gateway::v1::HTTPRouteMatch& match, const Audience& audience, RouteMatch& out) {
  Precedence precedence;
  const std::string path = match.path().has_value() ? match.path().value() : "/";
  precedence.path_length = path.size();
  if (match.path().type() == "Exact") {
    precedence.is_exact = true;
    out.set_path(path);
  } else if (match.path().type() == kRegularExpression) {
    out.mutable_safe_regex()->set_regex(path);
  } else {
    set_prefix(path, audience, out);
  }
  if (!match.method().empty()) {
    precedence.has_method = true;
    add_header(":method", match.method(), false, out);
  }
  for (const auto& header : match.headers()) {
    ++precedence.headers;
    add_header(header.name(), header.value(), header.type() == kRegularExpression, out);
  }
  for (const auto& parameter : match.query_params()) {
    ++precedence.query_parameters;
    auto* query = out.add_query_parameters();
    query->set_name(parameter.name());
    if (parameter.type() == kRegularExpression) {
      query->mutable_string_match()->mutable_safe_regex()->set_regex(parameter.value());
    } else {
      query->mutable_string_match()->set_exact(parameter.value());
    }
  }
  return precedence;
}

Precedence compile_match(const gateway::v1::GRPCRouteMatch& match, const Audience&, RouteMatch& out) {
  Precedence precedence;
  const std::string& service = match.method().service();
  const std::string& method = match.method().method();
  precedence.path_length = service.size();
  precedence.method_length = method.size();
  if (match.method().type() == kRegularExpression) {
    out.mutable_safe_regex()->set_regex(
        absl::StrCat("/", service.empty() ? kAnyMethodName : service, "/", method.empty() ? kAnyMethodName : method));
  } else if (!service.empty() && !method.empty()) {
    precedence.is_exact = true;
    out.set_path(absl::StrCat("/", service, "/", method));
  } else if (!service.empty()) {
    out.set_prefix(absl::StrCat("/", service, "/"));
  } else if (!method.empty()) {
    out.mutable_safe_regex()->set_regex(absl::StrCat("/", kAnyMethodName, "/", re2::RE2::QuoteMeta(method)));
  } else {
    out.set_prefix("/");
  }
  for (const auto& header : match.headers()) {
    ++precedence.headers;
    add_header(header.name(), header.value(), header.type() == kRegularExpression, out);
  }
  return precedence;
}

}  // namespace weft::control::compile
