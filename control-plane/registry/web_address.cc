#include "control-plane/registry/web_address.h"

#include <algorithm>
#include <charconv>

#include "control-plane/registry/format.h"

namespace weft::control::registry {

namespace {

constexpr size_t kMaxBytes = 2048;

bool parse_port(std::string_view text, uint16_t* port) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *port);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size() && *port != 0;
}

// Visible ASCII without what ends a path or would have to be escaped.
bool is_path(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '#' && c != '"' && c != '\\'; });
}

}  // namespace

std::optional<WebAddress> parse_web_address(std::string_view text) {
  WebAddress out;
  if (text.size() > kMaxBytes) return std::nullopt;
  out.is_https = text.starts_with("https://");
  if (!out.is_https && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(text.find("//") + 2);
  const size_t end = std::min(text.find_first_of("/?"), text.size());
  out.authority = std::string(text.substr(0, end));
  const std::string_view path = text.substr(end);
  out.path = path.starts_with('/') ? std::string(path) : "/" + std::string(path);

  std::string_view host = out.authority, port;
  const size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const size_t colon = host.find(':', bracket);
  if (colon != std::string_view::npos) port = host.substr(colon + 1);
  host = host.substr(0, colon);
  out.port = out.is_https ? 443 : 80;
  if (colon != std::string_view::npos && !parse_port(port, &out.port)) return std::nullopt;
  const bool is_ipv6_address = bracket != 0 && host.size() == bracket + 1 && is_ipv6(host.substr(1, bracket - 1));
  out.host = std::string(bracket == 0 ? host : host.substr(1, bracket - 1));
  const bool is_host = bracket != 0 ? is_ipv6_address : is_ipv4(host) || is_dns_name(host);
  if (!is_host || !is_path(out.path)) return std::nullopt;
  return out;
}

}  // namespace weft::control::registry
