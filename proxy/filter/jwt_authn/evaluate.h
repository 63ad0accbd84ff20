#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "proxy/filter/jwt_authn/provider.h"
#include "proxy/filter/jwt_authn/token.h"
#include "proxy/http/message.h"

// Whether a request has the tokens that it needs. All tokens that are found for a provider must be good, so that a good
// one never carries a bad one past. Pure but for keys that may have to be fetched first.

namespace weft::filter {

// Where a token stood.
struct FoundToken {
  const JwtProvider* provider = nullptr;
  std::string_view text;
  enum class Where : uint8_t { kHeader, kParam, kCookie } where = Where::kHeader;
  std::string_view name;
};
// In the order of the provider's places.
std::vector<FoundToken> find_tokens(const JwtProvider& provider, const http::RequestHead& request);
// Takes it out of the request; a cookie stays, as in Envoy.
void remove_token(const FoundToken& token, http::RequestHead& request);

struct GoodToken {
  FoundToken found;
  Token token;
};

struct Verdicts {
  TokenError error = TokenError::kNone;
  // Set: no verdict yet; these keys must be waited for, and then all is asked again.
  KeySource* pending = nullptr;
  std::deque<GoodToken> good;
};

struct Evaluation {
  const std::vector<JwtProviderPtr>& providers;  // All that there are.
  const http::RequestHead& request;
  uint32_t worker = 0;
  int64_t now_ms = 0;
  int64_t wall_s = 0;
  // Keys that were waited for and did not come.
  const std::vector<KeySource*>& failed;
};
Verdicts evaluate(const JwtRequirement& requirement, const Evaluation& evaluation);

}  // namespace weft::filter
