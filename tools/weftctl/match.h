#pragma once

// What becomes of a request by a route configuration: by the proxy's own compiler and matcher, which have no I/O. Pure;
// main thread.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace envoy::config::route::v3 {
class RouteConfiguration;
}  // namespace envoy::config::route::v3

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::weftctl {

struct Request {
  std::string method = "GET";
  std::string scheme = "http";
  // Host and perhaps port.
  std::string authority;
  // With the query.
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
};

// From what a person types: "http://cart:80/items?id=1", "cart/items" or "cart". InvalidArgument if it names no host.
absl::Status set_url(const std::string& url, Request* request);
// "name: value"; a Host takes the place of the URL's.
absl::Status add_header(const std::string& line, Request* request);

struct Match {
  // Empty: no virtual host has the request's.
  std::string virtual_host;
  struct Tried {
    std::string route;
    // "matches", or why it does not.
    std::string outcome;
  };
  // In order, up to the one that won.
  std::vector<Tried> tried;

  // Empty: none matched.
  std::string route;
  // Shares of forwarded requests; empty for an answer of the proxy's own.
  std::vector<std::pair<std::string, uint32_t>> clusters;
  std::vector<std::string> mirrors;
  // Of an answer of its own: its status, and where a redirect leads.
  uint16_t status = 0;
  std::string location;
  // What is sent on, where the route changes it.
  std::string path;
  std::string host;
  // Of forwarded requests, as compiled; 0 is none.
  int64_t timeout_ms = 0;
  int64_t attempt_timeout_ms = 0;
  uint32_t retries = 0;
};

// The request's path as a proxy writes it before it routes by it.
struct ReadPath {
  std::string path;
  // Not empty: why the proxy answers 400 instead.
  std::string refused;
  // The client is sent to `path` by 307.
  bool redirects = false;
};
ReadPath read_path(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
    const std::string& path);

// InvalidArgument with a line for each mistake if the proxy would refuse the configuration. Takes the path as it is.
absl::StatusOr<Match> match(const envoy::config::route::v3::RouteConfiguration& routes, const Request& request);

}  // namespace weft::weftctl
