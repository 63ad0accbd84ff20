#pragma once

// The small formats within objects: durations, DNS names, addresses. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::control::registry {

// Gateway API's duration (GEP-2257): one to four parts of up to five digits, each with its unit h, m, s or ms:
// "1h30m", "500ms", "0s". In milliseconds; nothing if it is not one.
std::optional<int64_t> parse_duration_ms(std::string_view text);

// RFC 1123: lower-case letters, digits and '-', a letter or digit at both ends, at most 63.
bool is_dns_label(std::string_view text);
// Labels with dots between, at most 253.
bool is_dns_name(std::string_view text);
// The same, or with "*." before.
bool is_host_pattern(std::string_view text);

// What says which protocol a port of a service speaks: appProtocol, or without it the first part of the port's name, as
// of "http" or "grpc-api".
std::string_view protocol_word(std::string_view app_protocol, std::string_view port_name);

// RFC 9110's token: names of headers and methods.
bool is_token(std::string_view text);

bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);
inline bool is_ip(std::string_view text) { return is_ipv4(text) || is_ipv6(text); }

}  // namespace weft::control::registry
