#pragma once

// The keys of an AuthorizationPolicy's conditions. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::control::registry {

struct AuthorizationKey {
  enum class Kind : uint8_t {
    kHeader,
    kSourceIp,
    kRemoteIp,
    kSourceNamespace,
    kSourcePrincipal,
    kRequestPrincipal,
    kAudiences,
    kPresenter,
    kClaim,
    kDestinationIp,
    kDestinationPort,
    kServerName,
  };
  Kind kind = Kind::kHeader;
  // Of a header one; of a claim the names from the outermost on.
  std::vector<std::string> names;

  // Only requests have it.
  bool of_request() const { return kind == Kind::kHeader || of_token(); }
  // Only a request's token has it.
  bool of_token() const {
    return kind == Kind::kRequestPrincipal || kind == Kind::kAudiences || kind == Kind::kPresenter ||
           kind == Kind::kClaim;
  }
};

// Nothing if there is no such key.
std::optional<AuthorizationKey> parse_authorization_key(std::string_view text);

// "10.0.0.0/8", "10.0.0.1", "fd00::/8". Nothing if it is none.
struct IpBlock {
  std::string address;
  uint32_t bits = 0;
};
std::optional<IpBlock> parse_ip_block(std::string_view text);
bool is_ip_block(std::string_view text);

}  // namespace weft::control::registry
