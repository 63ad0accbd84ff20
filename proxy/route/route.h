#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/message.h"
#include "proxy/route/hash_policy.h"
#include "proxy/route/header_match.h"

// What a route says is to be done with a request: plain, immutable data that config/compile fills in and every worker
// reads. Matching is in route_table.h. Times are milliseconds; 0 means "none" unless said otherwise.

namespace weft::cluster {
class ClusterSlot;
}

namespace weft::observe {
class Format;
}

namespace weft::route {

class Regex;

// A header to add or to change. A value with Envoy's command operators (%REQ(x)%, %DOWNSTREAM_REMOTE_ADDRESS% ...) is a
// `format` that the stream renders for each request; `value` is then empty.
struct HeaderValue {
  enum class Action : uint8_t { kAppend, kAddIfAbsent, kOverwrite, kOverwriteIfExists };
  std::string name;
  std::string value;
  Action action = Action::kAppend;
  bool keep_empty = false;
  std::shared_ptr<const observe::Format> format;
};

// Applied in this order: remove, then add.
struct HeaderMutations {
  std::vector<std::string> remove;
  std::vector<HeaderValue> add;
  bool empty() const { return remove.empty() && add.empty(); }
};

enum class PriorityClass : uint8_t { kDefault, kHigh };

struct RetryPolicy {
  enum On : uint32_t {
    k5xx = 1 << 0,
    kGatewayError = 1 << 1,
    kReset = 1 << 2,
    kResetBeforeRequest = 1 << 3,
    kConnectFailure = 1 << 4,
    kEnvoyRateLimited = 1 << 5,
    kRetriable4xx = 1 << 6,
    kRefusedStream = 1 << 7,
    kRetriableStatusCodes = 1 << 8,
    kRetriableHeaders = 1 << 9,
    kHttp3PostConnectFailure = 1 << 10,
    kGrpcCancelled = 1 << 16,
    kGrpcDeadlineExceeded = 1 << 17,
    kGrpcInternal = 1 << 18,
    kGrpcResourceExhausted = 1 << 19,
    kGrpcUnavailable = 1 << 20,
  };
  uint32_t on = 0;
  uint32_t num_retries = 1;
  int64_t per_try_timeout_ms = 0;
  std::vector<uint16_t> retriable_status_codes;
  std::vector<HeaderMatch> retriable_headers;          // Of the answer; any of them.
  std::vector<HeaderMatch> retriable_request_headers;  // Any of them, or there is no retry; empty: all requests.
  int64_t back_off_base_ms = 25;
  int64_t back_off_max_ms = 250;
  bool omit_previous_hosts = false;
  uint32_t host_selection_max_attempts = 1;
  // A request whose method is not idempotent is retried after it may have been processed only if this is set; nothing
  // in Envoy's configuration sets it unless the policy names the method's risk (see config/compile).
  bool allow_unsafe_methods = false;
};

struct WeightedCluster {
  std::string name;
  // Where no cluster stands the request is answered by cluster_not_found_status. Null in what a header directs.
  std::shared_ptr<const cluster::ClusterSlot> slot;
  uint32_t weight = 0;
  std::string host_rewrite;
  HeaderMutations request_headers;
  HeaderMutations response_headers;
};

struct Redirect {
  uint16_t status = 301;
  bool https_redirect = false;
  std::string scheme;
  std::string host;
  uint32_t port = 0;
  std::string path;            // Replaces path and query.
  std::string prefix_rewrite;  // Replaces the matched prefix.
  bool has_prefix_rewrite = false;
  std::shared_ptr<const Regex> regex;  // Applied to the path, with regex_substitution.
  std::string regex_substitution;
  bool strip_query = false;
};

struct DirectResponse {
  uint16_t status = 200;
  std::string body;
};

// Cross-origin rules (the CORS filter's configuration of a virtual host or route).
struct CorsPolicy;

// What a route, or what it stands in, says to one HTTP filter in place of the filter's own configuration.
struct FilterOverride {
  virtual ~FilterOverride() = default;
};
struct NamedOverride {
  std::string filter;  // Its name in the connection manager.
  std::shared_ptr<const FilterOverride> value;
};

// A mirror of requests to another cluster (shadowing).
struct Mirror {
  WeightedCluster destination;
  uint32_t numerator = 0, denominator = 0;  // The share of requests; denominator 0: all.
  bool keep_host = false;                   // Without "-shadow" behind the host's name.
  std::string host_rewrite;                 // The host's name instead; empty: it is not replaced.
};

struct ClusterAction {
  // One entry per possible destination; a single cluster is one entry. Chosen by weight if there are several. What a
  // header directs has one, without a name.
  std::vector<WeightedCluster> clusters;
  uint32_t total_weight = 0;
  std::string cluster_header;  // The request header that names the cluster; empty: `clusters` do.
  uint16_t cluster_not_found_status = 503;

  std::string prefix_rewrite;
  bool has_prefix_rewrite = false;
  std::shared_ptr<const void> regex_rewrite;  // A RegexRewrite (route_table.h).
  std::string host_rewrite_literal;
  bool auto_host_rewrite = false;
  std::string host_rewrite_header;
  bool append_x_forwarded_host = false;

  std::optional<int64_t> timeout_ms;       // Unset: 15 s, as Envoy; 0: none.
  std::optional<int64_t> idle_timeout_ms;  // Unset: the connection manager's stream_idle_timeout.
  std::optional<int64_t> max_stream_duration_ms;
  std::optional<int64_t> grpc_timeout_header_max_ms;  // Set: grpc-timeout counts, up to this (0: without bound).
  int64_t grpc_timeout_header_offset_ms = 0;
  std::optional<RetryPolicy> retry;
  PriorityClass priority = PriorityClass::kDefault;
  std::vector<std::string> allowed_upgrades;  // Lower case: "websocket"; "connect" for CONNECT tunnels.
  std::vector<std::string> refused_upgrades;
  std::vector<HashPolicy> hash_policies;
  bool ends_connect = false;  // CONNECT is answered here, and its bytes go to the cluster as they are.
  std::vector<Mirror> mirrors;
};

struct VirtualHost;

struct Route {
  std::string name;
  // Exactly one of these.
  std::unique_ptr<ClusterAction> forward;
  std::unique_ptr<Redirect> redirect;
  std::unique_ptr<DirectResponse> direct_response;

  HeaderMutations request_headers;
  HeaderMutations response_headers;
  std::shared_ptr<const CorsPolicy> cors;
  std::vector<NamedOverride> overrides;  // Those of the virtual host and the table included.
  // For rewrites: what the matcher matched. Empty for regex and path-separated kinds that matched all.
  std::string matched_prefix;
  bool matches_whole_path = false;
  uint32_t per_request_buffer_limit_bytes = 0;  // For replay on retries; 0: the listener's.
  bool has_per_request_buffer_limit = false;
  const VirtualHost* virtual_host = nullptr;
  std::string where;  // File position or resource name, for explaining.
};

// The route's word to the filter of this name, if it is one for filters of its kind; nullptr otherwise.
template <typename Override>
const Override* override_of(const Route* route, std::string_view filter) {
  if (route == nullptr) return nullptr;
  for (const NamedOverride& each : route->overrides) {
    if (each.filter == filter) return dynamic_cast<const Override*>(each.value.get());
  }
  return nullptr;
}

}  // namespace weft::route
