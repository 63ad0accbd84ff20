#pragma once

// Addresses of the web, as people write them into objects. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::control::registry {

// "https://keys.example:8443/jwks.json"
struct WebAddress {
  bool is_https = false;
  std::string host;  // A DNS name in lower case, or an IP address without brackets.
  uint16_t port = 0;
  std::string authority;  // As written: "keys.example:8443", "[::1]".
  std::string path;       // With the query; "/" if there is none.
};

// http:// or https:// with a host and no user; without a fragment. Nothing if it is none.
std::optional<WebAddress> parse_web_address(std::string_view text);

}  // namespace weft::control::registry
