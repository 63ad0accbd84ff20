#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "proxy/filter/jwt_authn/locations.h"
#include "proxy/filter/jwt_authn/provider.h"
#include "proxy/filter/jwt_authn/token.h"
#include "proxy/http/message.h"

// Whether a request has the tokens that it needs, as Envoy decides it. All tokens that are found for a provider must be
// good, so that a good one never carries a bad one past; under allow_missing too, where Envoy goes by its verdict on
// one of them. Pure but for keys that may have to be fetched first.

namespace weft::filter {

struct GoodToken {
  const JwtProvider* provider = nullptr;  // Whose keys verified it.
  FoundToken found;
  Token token;
  // The same for those that one requirement has found.
  int verifier = 0;
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
