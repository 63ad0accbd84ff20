#include "proxy/route/rewrite.h"

#include <algorithm>
#include <charconv>

#include "proxy/route/matcher.h"

namespace weft::route {
namespace {

std::string_view query_of(std::string_view path) { return path.substr(http::path_only(path).size()); }

// `path` with its matched prefix (the whole path, where the route matched all of it) replaced.
std::string_view replace_matched(const Route& route, std::string_view path, std::string_view replacement,
                                 base::Arena& arena) {
  std::string_view rest = path;
  size_t matched = route.matches_whole_path ? http::path_only(path).size() : route.matched_prefix.size();
  rest.remove_prefix(std::min(matched, rest.size()));
  return arena.concat(replacement, rest);
}

// The end of the host in "host:port" or "[v6]:port"; the port's colon stands there.
size_t host_end(std::string_view authority) {
  size_t from = !authority.empty() && authority[0] == '[' ? authority.find(']') : 0;
  if (from == std::string_view::npos) return authority.size();
  return std::min(authority.find(':', from), authority.size());
}

bool is_default_port(std::string_view scheme, std::string_view port) {
  return (scheme == "http" && port == ":80") || (scheme == "https" && port == ":443");
}

}  // namespace

std::string_view rewrite_path(const Route& route, const http::RequestHead& request, base::Arena& arena) {
  if (route.forward == nullptr) return request.path;
  const ClusterAction& action = *route.forward;
  if (action.has_prefix_rewrite) return replace_matched(route, request.path, action.prefix_rewrite, arena);
  if (action.regex_rewrite != nullptr) {
    const auto& rewrite = *static_cast<const RegexRewrite*>(action.regex_rewrite.get());
    std::string_view path = http::path_only(request.path);
    return arena.concat(rewrite.regex->rewrite(path, rewrite.substitution), query_of(request.path));
  }
  return request.path;
}

std::string_view redirect_location(const Redirect& redirect, const Route& route, const http::RequestHead& request,
                                   base::Arena& arena) {
  std::string_view old_scheme = request.scheme.empty() ? std::string_view("http") : request.scheme;
  std::string_view scheme = redirect.https_redirect ? std::string_view("https") : std::string_view(redirect.scheme);
  if (scheme.empty()) scheme = old_scheme;

  size_t end_of_host = host_end(request.authority);
  std::string_view host = redirect.host.empty() ? request.authority.substr(0, end_of_host) : redirect.host;
  std::string_view port;
  char digits[8] = ":";
  if (redirect.port != 0) {
    auto [end, error] = std::to_chars(digits + 1, digits + sizeof(digits), redirect.port);
    port = {digits, static_cast<size_t>(end - digits)};
  } else if (redirect.host.empty()) {
    port = request.authority.substr(end_of_host);
    if (scheme != old_scheme && is_default_port(old_scheme, port)) port = {};
  }

  std::string_view path = redirect.strip_query ? http::path_only(request.path) : request.path;
  std::string_view query = query_of(path);
  if (!redirect.path.empty()) {
    path = redirect.path;
    // The request's query goes along unless the configured path has one of its own.
    if (path.find('?') == std::string_view::npos) path = arena.concat(path, query);
  } else if (redirect.has_prefix_rewrite) {
    path = replace_matched(route, path, redirect.prefix_rewrite, arena);
  } else if (redirect.regex != nullptr) {
    path = arena.concat(redirect.regex->rewrite(http::path_only(path), redirect.regex_substitution), query);
  }
  std::string_view origin = arena.concat(scheme, "://", host, port);
  return arena.concat(origin, path);
}

}  // namespace weft::route
