#include "tools/weftctl/match.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/base/arena.h"
#include "proxy/base/random.h"
#include "proxy/config/compile/path_rules.h"
#include "proxy/config/compile/routes.h"
#include "proxy/route/rewrite.h"
#include "proxy/route/route_table.h"

namespace weft::weftctl {

namespace {

// The wire's default, of a route that says nothing.
constexpr int64_t kDefaultTimeoutMs = 15'000;

void describe(const route::ClusterAction& action, const route::Route& route, const http::RequestHead& head,
              base::Arena& arena, Match* out) {
  for (const route::WeightedCluster& cluster : action.clusters) {
    out->clusters.emplace_back(cluster.name, cluster.weight);
  }
  for (const route::Mirror& mirror : action.mirrors) out->mirrors.push_back(mirror.destination.name);
  const std::string_view path = route::rewrite_path(route, head, arena);
  if (path != head.path) out->path = path;
  out->host = action.host_rewrite_literal;
  out->timeout_ms = action.timeout_ms.value_or(kDefaultTimeoutMs);
  if (!action.retry.has_value()) return;
  out->attempt_timeout_ms = action.retry->per_try_timeout_ms;
  out->retries = action.retry->on == 0 ? 0 : action.retry->num_retries;
}

}  // namespace

absl::Status set_url(const std::string& url, Request* request) {
  std::string rest = url;
  const size_t scheme = rest.find("://");
  if (scheme != std::string::npos) {
    request->scheme = absl::AsciiStrToLower(rest.substr(0, scheme));
    rest = rest.substr(scheme + 3);
  }
  if (request->scheme != "http" && request->scheme != "https") {
    return absl::InvalidArgumentError(absl::StrCat("expected http or https; got \"", request->scheme, "\""));
  }
  rest = rest.substr(0, rest.find('#'));
  const size_t end = rest.find_first_of("/?");
  request->authority = rest.substr(0, end);
  request->path = end == std::string::npos ? "/" : rest.substr(end);
  if (request->path.front() == '?') request->path = "/" + request->path;
  if (!http::is_authority(request->authority)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a host, as in http://cart/items; got \"", request->authority, "\" of \"", url, "\""));
  }
  return absl::OkStatus();
}

absl::Status add_header(const std::string& line, Request* request) {
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(absl::StrCat("expected a header as \"name: value\"; got \"", line, "\""));
  }
  const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
  const std::string value(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  if (name == "host") {
    request->authority = value;
  } else {
    request->headers.emplace_back(name, value);
  }
  return absl::OkStatus();
}

ReadPath read_path(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
    const std::string& path) {
  base::Arena arena;
  const stream::CanonicalPath read = stream::canonical_path(path, config::compile_path_rules(manager), arena);
  return {std::string(read.path), std::string(read.refused), read.redirects};
}

absl::StatusOr<Match> match(const envoy::config::route::v3::RouteConfiguration& routes, const Request& request) {
  config::SharedParts parts;
  const text::PositionMap nowhere;
  config::Context context(parts, nowhere);
  const auto table = config::compile_routes(context, routes, false, "");
  if (table == nullptr || !context.errors().empty() || !context.refused().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the proxy would refuse the routes:\n",
                                                   absl::StrJoin(context.errors(), "\n"),
                                                   absl::StrJoin(context.refused(), "\n")));
  }
  base::Arena arena;
  http::RequestHead head(arena);
  head.method = request.method;
  head.method_id = http::method_of(request.method);
  head.scheme = request.scheme;
  head.authority = request.authority;
  head.path = request.path;
  for (const auto& [name, value] : request.headers) head.headers.add(name, value);

  Match out;
  // What the control plane compiles leaves nothing to chance but shares among clusters, which are told as such.
  base::Random random(1);
  route::MatchTrace trace;
  const route::Route* found = table->match({head, random, &trace});
  for (const route::MatchTrace::Step& step : trace.steps) {
    if (step.virtual_host != nullptr) out.virtual_host = step.virtual_host->name;
    if (step.route != nullptr) out.tried.push_back({step.route->name, step.outcome});
  }
  // As requests are matched, by the index.
  if (table->match({head, random, nullptr}) != found) {
    return absl::InternalError("the matcher's index and its trace do not agree; this is a bug of weft-proxy");
  }
  if (found == nullptr) return out;
  out.route = found->name;
  if (found->redirect != nullptr) {
    out.status = found->redirect->status;
    out.location = route::redirect_location(*found->redirect, *found, head, arena);
  } else if (found->direct_response != nullptr) {
    out.status = found->direct_response->status;
  } else {
    describe(*found->forward, *found, head, arena, &out);
  }
  return out;
}

}  // namespace weft::weftctl
