#include "proxy/route/route_table.h"

#include <algorithm>
#include <functional>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/route/conditions.h"
#include "proxy/route/path_index.h"

namespace weft::route {
namespace {

// Longer than any name that DNS or a sensible certificate knows; an authority beyond it can only match "*".
constexpr size_t kMaxHostBytes = 1024;

std::string_view without_port(std::string_view authority) {
  size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return authority;
  // The colons of a bare "[::1]" are no port.
  if (authority.back() == ']') return authority;
  return authority.substr(0, colon);
}

}  // namespace

struct RouteTable::Index {
  struct Host {
    const VirtualHost* host;
    PathIndex paths;
    std::unique_ptr<Route> tls_redirect;  // Of a host with require_tls.
  };
  using Names = absl::flat_hash_map<std::string_view, size_t, std::hash<std::string_view>>;
  // Wildcards whose fixed part has one length.
  struct Level {
    size_t length;
    Names names;
  };

  const Host* find(std::string_view authority) const {
    char buffer[kMaxHostBytes];
    if (!authority.empty() && authority.size() <= kMaxHostBytes) {
      for (size_t i = 0; i < authority.size(); ++i) {
        buffer[i] = absl::ascii_tolower(static_cast<unsigned char>(authority[i]));
      }
      std::string_view name(buffer, authority.size());
      if (auto found = exact.find(name); found != exact.end()) return &hosts[found->second];
      for (const Level& level : suffixes) {
        if (level.length >= name.size()) continue;
        auto found = level.names.find(name.substr(name.size() - level.length));
        if (found != level.names.end()) return &hosts[found->second];
      }
      for (const Level& level : prefixes) {
        if (level.length >= name.size()) continue;
        if (auto found = level.names.find(name.substr(0, level.length)); found != level.names.end()) {
          return &hosts[found->second];
        }
      }
    }
    return any >= 0 ? &hosts[static_cast<size_t>(any)] : nullptr;
  }

  std::vector<Host> hosts;
  std::vector<std::unique_ptr<std::string>> texts;  // What the views of the tables look at.
  Names exact;
  std::vector<Level> suffixes, prefixes;  // The longest first.
  int any = -1;
};

namespace {

// A redirect of the same request to https, for a host that requires TLS.
std::unique_ptr<Route> make_tls_redirect(const VirtualHost& host) {
  auto route = std::make_unique<Route>();
  route->name = "require_tls";
  route->virtual_host = &host;
  route->redirect = std::make_unique<Redirect>();
  route->redirect->https_redirect = true;
  return route;
}

bool needs_tls(const VirtualHost& host, const http::RequestHead& request) {
  std::string_view scheme = request.headers.value(http::HeaderId::kXForwardedProto);
  if (scheme.empty()) scheme = request.scheme;
  if (scheme == "https") return false;
  if (host.require_tls == VirtualHost::RequireTls::kAll) return true;
  return request.headers.value(http::HeaderId::kXEnvoyInternal) != "true";
}

void add_step(MatchTrace* trace, const VirtualHost* host, const Route* route, std::string outcome) {
  trace->steps.push_back({host, route, std::move(outcome)});
}

}  // namespace

RouteTable::RouteTable() = default;
RouteTable::~RouteTable() = default;

absl::StatusOr<std::shared_ptr<const RouteTable>> RouteTable::build(std::string name,
                                                                    std::vector<std::unique_ptr<VirtualHost>> hosts,
                                                                    Options options) {
  std::shared_ptr<RouteTable> table(new RouteTable());
  table->name_ = std::move(name);
  table->options_ = std::move(options);
  table->hosts_ = std::move(hosts);
  table->index_ = std::make_unique<Index>();
  Index& index = *table->index_;

  std::map<size_t, Index::Names, std::greater<>> suffixes, prefixes;
  std::map<std::string, const VirtualHost*> seen;
  for (size_t i = 0; i < table->hosts_.size(); ++i) {
    VirtualHost& host = *table->hosts_[i];
    if (host.domains.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("virtual host \"", host.name, "\" has no domains"));
    }
    for (RouteEntry& entry : host.routes) entry.route->virtual_host = &host;
    for (const std::string& configured : host.domains) {
      auto domain = std::make_unique<std::string>(absl::AsciiStrToLower(configured));
      if (auto [other, fresh] = seen.emplace(*domain, &host); !fresh) {
        return absl::InvalidArgumentError(absl::StrCat("domain \"", configured, "\" of virtual host \"", host.name,
                                                       "\" stands in virtual host \"", other->second->name, "\" too"));
      }
      std::string_view text = *domain;
      size_t stars = static_cast<size_t>(std::count(text.begin(), text.end(), '*'));
      if (text.empty() || text.size() > kMaxHostBytes || stars > 1) {
        return absl::InvalidArgumentError(absl::StrCat("domain \"", configured, "\" of virtual host \"", host.name,
                                                       "\" is not a name, *.name, name.* or *"));
      }
      if (text == "*") {
        index.any = static_cast<int>(i);
      } else if (text.front() == '*') {
        suffixes[text.size() - 1].emplace(text.substr(1), i);
      } else if (text.back() == '*') {
        prefixes[text.size() - 1].emplace(text.substr(0, text.size() - 1), i);
      } else if (stars == 0) {
        index.exact.emplace(text, i);
      } else {
        return absl::InvalidArgumentError(absl::StrCat("domain \"", configured, "\" of virtual host \"", host.name,
                                                       "\" has its wildcard neither first nor last"));
      }
      index.texts.push_back(std::move(domain));
    }
    bool redirects = host.require_tls != VirtualHost::RequireTls::kNone;
    index.hosts.push_back({&host, PathIndex(host.routes), redirects ? make_tls_redirect(host) : nullptr});
  }
  for (auto& [length, names] : suffixes) index.suffixes.push_back({length, std::move(names)});
  for (auto& [length, names] : prefixes) index.prefixes.push_back({length, std::move(names)});
  return std::shared_ptr<const RouteTable>(std::move(table));
}

const VirtualHost* RouteTable::match_host(std::string_view authority, MatchTrace* trace) const {
  const Index::Host* found = index_->find(options_.ignore_port_in_host ? without_port(authority) : authority);
  if (trace != nullptr) {
    if (found == nullptr) {
      add_step(trace, nullptr, nullptr,
               absl::StrCat("no virtual host has a domain for \"", std::string(authority), "\""));
    } else {
      add_step(trace, found->host, nullptr, "chosen by its domains");
    }
  }
  return found == nullptr ? nullptr : found->host;
}

const Route* RouteTable::match(const MatchInput& input) const {
  const http::RequestHead& request = input.request;
  std::string_view authority = request.authority;
  const Index::Host* host = index_->find(options_.ignore_port_in_host ? without_port(authority) : authority);
  if (input.trace != nullptr) match_host(authority, input.trace);
  if (host == nullptr) return nullptr;
  if (host->tls_redirect != nullptr && needs_tls(*host->host, request)) {
    if (input.trace != nullptr) add_step(input.trace, host->host, host->tls_redirect.get(), "the host requires TLS");
    return host->tls_redirect.get();
  }
  const std::vector<RouteEntry>& entries = host->host->routes;
  std::string_view path = http::path_only(request.path);
  if (input.trace != nullptr) {
    // To explain is to try them all.
    for (const RouteEntry& entry : entries) {
      std::string why = "matches";
      bool holds = entry_matches(entry, request, path, false, input.random, &why);
      add_step(input.trace, host->host, entry.route.get(), std::move(why));
      if (holds) return entry.route.get();
    }
    return nullptr;
  }
  int number = host->paths.first(path, [&](uint32_t candidate, bool known) {
    return entry_matches(entries[candidate], request, path, known, input.random);
  });
  return number < 0 ? nullptr : entries[static_cast<size_t>(number)].route.get();
}

}  // namespace weft::route
