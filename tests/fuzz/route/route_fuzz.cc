#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/route/rewrite.h"
#include "proxy/route/route_table.h"

// A route table and a request out of the input's lines: the index must choose the route that trying all in order
// chooses (a match that is traced does the latter), and rewriting must cope with whatever matched.
//
// Lines: "D name" begins a virtual host with that domain; "P/E/S/R path" adds a route (prefix, exact, path-separated,
// regex), "p/e/s" the same without regard to case; "H name:value" and "Q name=value" add a condition to the last route;
// "W text" its prefix rewrite; "A authority", "T path", "G name:value" are the request's.

namespace weft::route {
namespace {

using Kind = PathMatch::Kind;

struct Input {
  std::vector<std::unique_ptr<VirtualHost>> hosts;
  std::string_view authority, path = "/";
  std::vector<std::pair<std::string_view, std::string_view>> headers;
};

std::pair<std::string_view, std::string_view> split(std::string_view text, char at) {
  size_t end = text.find(at);
  if (end == std::string_view::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + 1)};
}

void add_route(VirtualHost& host, Kind kind, bool case_sensitive, std::string_view value) {
  RouteEntry entry;
  entry.path.kind = kind;
  entry.path.value = value;
  entry.path.case_sensitive = case_sensitive;
  if (kind == Kind::kRegex) {
    auto regex = Regex::compile(value);
    if (!regex.ok()) return;
    entry.path.regex = *std::move(regex);
  }
  entry.route = std::make_unique<Route>();
  entry.route->forward = std::make_unique<ClusterAction>();
  entry.route->matched_prefix = kind == Kind::kRegex ? std::string() : std::string(value);
  entry.route->matches_whole_path = kind == Kind::kExact || kind == Kind::kRegex;
  host.routes.push_back(std::move(entry));
}

void add_condition(RouteEntry& entry, char kind, std::string_view rest) {
  if (kind == 'H') {
    auto [name, value] = split(rest, ':');
    if (name.empty()) return;
    HeaderMatch match;
    match.name = name;
    match.kind = HeaderMatch::Kind::kString;
    match.string.kind = StringMatcher::Kind::kContains;
    match.string.value = value;
    entry.headers.push_back(std::move(match));
  } else if (kind == 'Q') {
    auto [name, value] = split(rest, '=');
    QueryMatch match;
    match.name = name;
    if (!value.empty()) match.string = StringMatcher{StringMatcher::Kind::kPrefix, std::string(value), true, nullptr};
    entry.query.push_back(std::move(match));
  } else {
    entry.route->forward->has_prefix_rewrite = true;
    entry.route->forward->prefix_rewrite = rest;
  }
}

void read_line(char kind, std::string_view rest, Input& input) {
  static constexpr std::string_view kRoutes = "PESR";
  char upper = kind >= 'a' && kind <= 'z' ? static_cast<char>(kind - 32) : kind;
  if (kind == 'D') {
    input.hosts.push_back(std::make_unique<VirtualHost>());
    input.hosts.back()->domains.emplace_back(rest);
  } else if (kind == 'A') {
    input.authority = rest;
  } else if (kind == 'T') {
    input.path = rest;
  } else if (kind == 'G') {
    input.headers.push_back(split(rest, ':'));
  } else if (input.hosts.empty()) {
    return;
  } else if (kRoutes.find(upper) != std::string_view::npos) {
    static constexpr Kind kKinds[] = {Kind::kPrefix, Kind::kExact, Kind::kPathSeparatedPrefix, Kind::kRegex};
    Kind path_kind = kKinds[kRoutes.find(upper)];
    add_route(*input.hosts.back(), path_kind, kind == upper || path_kind == Kind::kRegex, rest);
  } else if ((kind == 'H' || kind == 'Q' || kind == 'W') && !input.hosts.back()->routes.empty()) {
    add_condition(input.hosts.back()->routes.back(), kind, rest);
  }
}

void run(std::string_view text) {
  Input input;
  while (!text.empty()) {
    auto [line, rest] = split(text, '\n');
    text = rest;
    if (line.size() >= 2) read_line(line[0], line.substr(2), input);
  }
  auto table =
      RouteTable::build("fuzz", std::move(input.hosts), {.ignore_port_in_host = input.authority.size() % 2 == 1});
  if (!table.ok()) return;

  base::Arena arena;
  http::RequestHead request(arena);
  request.method = "GET";
  request.method_id = http::Method::kGet;
  request.authority = input.authority;
  request.path = input.path;
  for (auto [name, value] : input.headers) {
    if (!name.empty()) request.headers.add(name, value);
  }
  base::Random random(1);
  MatchTrace trace;
  const Route* fast = (*table)->match({request, random, nullptr});
  const Route* slow = (*table)->match({request, random, &trace});
  if (fast != slow) abort();
  if (fast == nullptr) return;
  rewrite_path(*fast, request, arena);
  Redirect redirect;
  redirect.has_prefix_rewrite = true;
  redirect.prefix_rewrite = "/new";
  redirect.https_redirect = true;
  if (redirect_location(redirect, *fast, request, arena).substr(0, 8) != "https://") abort();
}

}  // namespace
}  // namespace weft::route

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::route::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
