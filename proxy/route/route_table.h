#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/route/header_match.h"
#include "proxy/route/matcher.h"
#include "proxy/route/route.h"

// Matching a request to a route: pure, with no clock and no I/O. Semantics are those of Envoy's route configuration
// (domains: exact, then longest suffix wildcard, then longest prefix wildcard, then "*"; within the host the first
// route that matches). An index over exact paths and prefixes finds the first match without trying every route.
// Immutable after build(); shared by all workers.

namespace weft::route {

struct QueryMatch {
  std::string name;
  bool present = true;  // Used when there is no `string`.
  std::optional<StringMatcher> string;
};

struct PathMatch {
  enum class Kind : uint8_t { kPrefix, kExact, kRegex, kPathSeparatedPrefix, kConnect } kind = Kind::kPrefix;
  std::string value;  // Prefix or path; for kRegex the pattern (matches the whole path, without query).
  std::shared_ptr<const Regex> regex;
  bool case_sensitive = true;
};

struct RouteEntry {
  PathMatch path;
  std::vector<HeaderMatch> headers;
  std::vector<QueryMatch> query;
  bool grpc_only = false;
  // runtime_fraction.default_value; matched by chance.
  uint32_t fraction_numerator = 0, fraction_denominator = 0;  // Denominator 0: always.
  std::unique_ptr<Route> route;
};

struct VirtualHost {
  std::string name;
  std::vector<std::string> domains;
  enum class RequireTls : uint8_t { kNone, kExternalOnly, kAll } require_tls = RequireTls::kNone;
  std::vector<RouteEntry> routes;
  HeaderMutations request_headers;
  HeaderMutations response_headers;
  std::shared_ptr<const CorsPolicy> cors;
  bool include_request_attempt_count = false;
  bool include_attempt_count_in_response = false;
};

// Filled in while a match runs, for `explain`: every candidate that was looked at and why it did not match.
struct MatchTrace {
  struct Step {
    const VirtualHost* virtual_host = nullptr;
    const Route* route = nullptr;
    std::string outcome;  // "path prefix /api/ does not match", "header x: no exact match"
  };
  std::vector<Step> steps;
};

struct MatchInput {
  const http::RequestHead& request;
  base::Random& random;  // For fractions; weighted clusters are chosen later.
  MatchTrace* trace = nullptr;
};

class RouteTable {
 public:
  struct Options {
    bool ignore_port_in_host = false;  // HCM strip_any_host_port / ignore_port_in_host_matching
    HeaderMutations request_headers;
    HeaderMutations response_headers;
    bool most_specific_header_mutations_wins = false;
  };
  // Errors: a domain that stands twice, a malformed wildcard.
  static absl::StatusOr<std::shared_ptr<const RouteTable>> build(std::string name,
                                                                 std::vector<std::unique_ptr<VirtualHost>> hosts,
                                                                 Options options);
  ~RouteTable();

  // nullptr when no host or no route matches. The result lives as long as the table.
  const Route* match(const MatchInput& input) const;
  const VirtualHost* match_host(std::string_view authority, MatchTrace* trace = nullptr) const;

  const std::string& name() const { return name_; }
  const Options& options() const { return options_; }
  const std::vector<std::unique_ptr<VirtualHost>>& hosts() const { return hosts_; }

 private:
  struct Index;
  RouteTable();
  std::string name_;
  Options options_;
  std::vector<std::unique_ptr<VirtualHost>> hosts_;
  std::unique_ptr<Index> index_;
};

}  // namespace weft::route
