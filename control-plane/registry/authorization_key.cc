#include "control-plane/registry/authorization_key.h"

#include <charconv>

#include "control-plane/registry/format.h"

namespace weft::control::registry {

namespace {

struct Word {
  std::string_view text;
  AuthorizationKey::Kind kind;
};

constexpr Word kPlain[] = {
    {"source.ip", AuthorizationKey::Kind::kSourceIp},
    {"remote.ip", AuthorizationKey::Kind::kRemoteIp},
    {"source.namespace", AuthorizationKey::Kind::kSourceNamespace},
    {"source.principal", AuthorizationKey::Kind::kSourcePrincipal},
    {"request.auth.principal", AuthorizationKey::Kind::kRequestPrincipal},
    {"request.auth.audiences", AuthorizationKey::Kind::kAudiences},
    {"request.auth.presenter", AuthorizationKey::Kind::kPresenter},
    {"destination.ip", AuthorizationKey::Kind::kDestinationIp},
    {"destination.port", AuthorizationKey::Kind::kDestinationPort},
    {"connection.sni", AuthorizationKey::Kind::kServerName},
};
constexpr std::string_view kHeaders = "request.headers";
constexpr std::string_view kClaims = "request.auth.claims";

// "[a][b]" as a and b; false if it is none of that.
bool read_names(std::string_view text, std::vector<std::string>* names) {
  while (!text.empty()) {
    const size_t end = text.find(']');
    if (text.front() != '[' || end == std::string_view::npos || end == 1) return false;
    names->emplace_back(text.substr(1, end - 1));
    text.remove_prefix(end + 1);
  }
  return !names->empty();
}

}  // namespace

std::optional<AuthorizationKey> parse_authorization_key(std::string_view text) {
  for (const Word& word : kPlain) {
    if (word.text == text) return AuthorizationKey{word.kind, {}};
  }
  AuthorizationKey key;
  if (text.starts_with(kHeaders)) {
    if (!read_names(text.substr(kHeaders.size()), &key.names) || key.names.size() != 1) return std::nullopt;
    return key;
  }
  key.kind = AuthorizationKey::Kind::kClaim;
  if (!text.starts_with(kClaims) || !read_names(text.substr(kClaims.size()), &key.names)) return std::nullopt;
  return key;
}

std::optional<IpBlock> parse_ip_block(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  if (!is_ip(address)) return std::nullopt;
  const uint32_t most = is_ipv4(address) ? 32 : 128;
  if (slash == std::string_view::npos) return IpBlock{std::string(address), most};
  uint32_t bits = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data() + slash + 1, end, bits);
  if (result.ec != std::errc() || result.ptr != end || bits > most) return std::nullopt;
  return IpBlock{std::string(address), bits};
}

bool is_ip_block(std::string_view text) { return parse_ip_block(text).has_value(); }

}  // namespace weft::control::registry
