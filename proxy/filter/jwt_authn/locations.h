#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/filter/jwt_authn/provider.h"
#include "proxy/http/message.h"

// Where tokens stand in a request: headers, parameters of the query, cookies. Pure.

namespace weft::filter {

struct FoundToken {
  enum class Where : uint8_t { kHeader, kParam, kCookie } where = Where::kHeader;
  std::string_view name;    // As the provider has it; lives as long as that.
  std::string_view prefix;  // Of a header's value; lives as long as the provider.
  std::string_view text;    // Lives as long as the request.
};

// The tokens at all places where one of these providers looks, each once, in the order in which Envoy checks them.
std::vector<FoundToken> find_tokens(std::span<const JwtProviderPtr> providers, const http::RequestHead& request);
bool looks_at(const JwtProvider& provider, const FoundToken& found);
// Takes it out of the request; a cookie stays, as in Envoy.
void remove_token(const FoundToken& token, http::RequestHead& request);

}  // namespace weft::filter
