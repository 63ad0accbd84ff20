#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/route/route_table.h"

// Route tables for tests, in few words. A route's name says which it is.

namespace weft::route {

inline RouteEntry entry(PathMatch::Kind kind, std::string value, std::string name) {
  RouteEntry result;
  result.path.kind = kind;
  result.path.value = std::move(value);
  if (kind == PathMatch::Kind::kRegex) result.path.regex = *Regex::compile(result.path.value);
  result.route = std::make_unique<Route>();
  result.route->name = std::move(name);
  result.route->forward = std::make_unique<ClusterAction>();
  return result;
}

inline std::unique_ptr<VirtualHost> host(std::string name, std::vector<std::string> domains) {
  auto result = std::make_unique<VirtualHost>();
  result->name = std::move(name);
  result->domains = std::move(domains);
  return result;
}

template <typename... Hosts>
absl::StatusOr<std::shared_ptr<const RouteTable>> table(RouteTable::Options options, Hosts... hosts) {
  std::vector<std::unique_ptr<VirtualHost>> list;
  (list.push_back(std::move(hosts)), ...);
  return RouteTable::build("test", std::move(list), std::move(options));
}

// A request whose texts are literals or outlive it.
struct TestRequest {
  explicit TestRequest(std::string_view path, std::string_view authority = "a.test") : head(arena) {
    head.method = "GET";
    head.method_id = http::Method::kGet;
    head.scheme = "http";
    head.authority = authority;
    head.path = path;
  }
  const Route* match(const RouteTable& in, MatchTrace* trace = nullptr) {
    base::Random random(1);
    return in.match({head, random, trace});
  }
  std::string name(const RouteTable& in) {
    const Route* route = match(in);
    return route == nullptr ? "-" : route->name;
  }
  base::Arena arena;
  http::RequestHead head;
};

}  // namespace weft::route
