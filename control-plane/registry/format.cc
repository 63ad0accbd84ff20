#include "control-plane/registry/format.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>

namespace weft::control::registry {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_label_end(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

bool is_address(int family, std::string_view text) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

// The unit at the head of `text`, which it is taken from; 0 if there is none.
int64_t take_unit_ms(std::string_view* text) {
  constexpr struct {
    std::string_view name;
    int64_t ms;
  } kUnits[] = {{"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
  for (const auto& unit : kUnits) {
    if (!text->starts_with(unit.name)) continue;
    text->remove_prefix(unit.name.size());
    return unit.ms;
  }
  return 0;
}

}  // namespace

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  int64_t total_ms = 0;
  int parts = 0;
  for (; !text.empty(); ++parts) {
    constexpr size_t kMaxDigits = 5;
    size_t digits = 0;
    int64_t number = 0;
    while (digits < text.size() && digits <= kMaxDigits && is_digit(text[digits])) {
      number = number * 10 + (text[digits++] - '0');
    }
    text.remove_prefix(digits);
    const int64_t unit_ms = take_unit_ms(&text);
    if (digits == 0 || digits > kMaxDigits || unit_ms == 0) return std::nullopt;
    total_ms += number * unit_ms;
  }
  constexpr int kMaxParts = 4;
  if (parts == 0 || parts > kMaxParts) return std::nullopt;
  return total_ms;
}

bool is_dns_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_label_end(text.front()) || !is_label_end(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_label_end(c) || c == '-'; });
}

bool is_dns_name(std::string_view text) {
  if (text.size() > 253) return false;
  for (;;) {
    const size_t dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_host_pattern(std::string_view text) { return is_dns_name(text.starts_with("*.") ? text.substr(2) : text); }

std::string_view protocol_word(std::string_view app_protocol, std::string_view port_name) {
  return app_protocol.empty() ? port_name.substr(0, port_name.find('-')) : app_protocol;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [kMarks](char c) {
    return is_label_end(c) || (c >= 'A' && c <= 'Z') || kMarks.find(c) != std::string_view::npos;
  });
}

bool is_ipv4(std::string_view text) { return is_address(AF_INET, text); }
bool is_ipv6(std::string_view text) { return is_address(AF_INET6, text); }

}  // namespace weft::control::registry
