#include "proxy/intercept/rules.h"

#include <charconv>

#include "api/text/cat.h"

namespace weft::intercept {
namespace {

using transport::Address;

// Whether there is anything behind the first `bits`.
bool has_host_bits(const Address& address, uint32_t bits) {
  size_t bytes = address.family == Address::Family::kIpv4 ? 4 : 16;
  for (size_t i = bits / 8; i < bytes; ++i) {
    uint8_t rest = i == bits / 8 ? static_cast<uint8_t>(address.ip[i] << (bits % 8)) : address.ip[i];
    if (rest != 0) return true;
  }
  return false;
}

}  // namespace

std::string Cidr::text() const { return text::cat(network.ip_text(), "/", bits); }

absl::StatusOr<Cidr> parse_cidr(const std::string& text) {
  auto wrong = [&text](std::string_view why) {
    return absl::InvalidArgumentError(
        text::cat("\"", text, "\": ", why, "; expected a network such as 10.0.0.0/8 or fd00::/8"));
  };
  size_t slash = text.find('/');
  Cidr result;
  result.network = Address::parse_ip(text.substr(0, slash), 0);
  if (result.network.family == Address::Family::kNone) return wrong("is no IP address");
  uint32_t most = result.is_ipv6() ? 128 : 32;
  result.bits = most;
  if (slash == std::string::npos) return result;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data() + slash + 1, end, result.bits);
  if (error != std::errc() || at != end || result.bits > most) return wrong("its length is no number of bits");
  if (has_host_bits(result.network, result.bits)) return wrong("has bits behind its length");
  return result;
}

}  // namespace weft::intercept
