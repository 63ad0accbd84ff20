#include "proxy/filter/jwt_authn/evaluate.h"

#include <algorithm>
#include <span>
#include <utility>

namespace weft::filter {
namespace {

using Kind = JwtRequirement::Kind;

bool is_audience(const std::vector<std::string>& allowed, const std::vector<std::string>& audiences) {
  if (allowed.empty()) return true;
  return std::any_of(audiences.begin(), audiences.end(), [&](const std::string& each) {
    return std::find(allowed.begin(), allowed.end(), bare_audience(each)) != allowed.end();
  });
}

class Evaluator {
 public:
  explicit Evaluator(const Evaluation& evaluation) : evaluation_(evaluation) {}

  Verdicts run(const JwtRequirement& requirement) {
    verdicts_.error = ask(requirement);
    return std::move(verdicts_);
  }

 private:
  TokenError ask(const JwtRequirement& requirement) {
    switch (requirement.kind) {
      case Kind::kProvider:
        return ask_provider(requirement);
      case Kind::kAny:
        return ask_any(requirement);
      case Kind::kAll:
        for (const JwtRequirement& part : requirement.parts) {
          TokenError error = ask(part);
          if (error != TokenError::kNone || verdicts_.pending != nullptr) return error;
        }
        return TokenError::kNone;
      case Kind::kAllowMissing: {
        TokenError error = ask_whatever_is_there();
        return error == TokenError::kMissing ? TokenError::kNone : error;
      }
      case Kind::kAllowMissingOrFailed:
        ask_whatever_is_there();
        return TokenError::kNone;
      case Kind::kNothing:
        return TokenError::kNone;
    }
    return TokenError::kMissing;
  }

  // As Envoy: beside other requirements, allow_missing and allow_missing_or_failed look for no tokens of their own but
  // say what to make of the others' verdicts.
  TokenError ask_any(const JwtRequirement& requirement) {
    bool may_miss = false, may_fail = false, has_others = false;
    TokenError told = TokenError::kMissing;
    KeySource* pending = nullptr;
    for (const JwtRequirement& part : requirement.parts) {
      may_miss = may_miss || part.kind == Kind::kAllowMissing;
      may_fail = may_fail || part.kind == Kind::kAllowMissingOrFailed;
      if (part.kind == Kind::kAllowMissing || part.kind == Kind::kAllowMissingOrFailed) continue;
      has_others = true;
      TokenError error = ask(part);
      // Keys that are awaited keep nobody who has another good token.
      if (KeySource* awaited = std::exchange(verdicts_.pending, nullptr); awaited != nullptr) {
        pending = awaited;
        continue;
      }
      if (error == TokenError::kNone) return error;
      // What is wrong with a token says more than that it is somebody else's, and this more than that there is none.
      bool says_more = error != TokenError::kMissing && error != TokenError::kUnknownIssuer;
      if (says_more || told == TokenError::kMissing) told = error;
    }
    if (has_others) {
      verdicts_.pending = pending;
    } else {
      told = ask_whatever_is_there();
    }
    return may_fail || (may_miss && told == TokenError::kMissing) ? TokenError::kNone : told;
  }

  TokenError ask_provider(const JwtRequirement& requirement) {
    const JwtProvider& provider = *requirement.provider;
    std::vector<FoundToken> tokens = find({&requirement.provider, 1});
    if (tokens.empty()) return TokenError::kMissing;
    ++verifier_;
    for (const FoundToken& found : tokens) {
      Token token;
      TokenError error = parse_token(found.text, &token);
      if (error == TokenError::kNone && !provider.issuer.empty() && token.issuer != provider.issuer) {
        error = TokenError::kUnknownIssuer;
      }
      if (error == TokenError::kNone) {
        error = verify(provider, requirement.audiences ? *requirement.audiences : provider.audiences, token);
      }
      if (error != TokenError::kNone || verdicts_.pending != nullptr) return error;
      keep(provider, found, std::move(token));
    }
    return TokenError::kNone;
  }

  // The tokens at every provider's places, each by a provider of the issuer that it names.
  TokenError ask_whatever_is_there() {
    std::vector<FoundToken> tokens = find(evaluation_.providers);
    TokenError told = tokens.empty() ? TokenError::kMissing : TokenError::kNone;
    ++verifier_;
    for (const FoundToken& found : tokens) {
      TokenError error = ask_issuer_of(found);
      if (verdicts_.pending != nullptr) return error;
      if (error != TokenError::kNone) told = error;
    }
    return told;
  }

  TokenError ask_issuer_of(const FoundToken& found) {
    Token token;
    TokenError told = parse_token(found.text, &token);
    if (told != TokenError::kNone) return told;
    told = TokenError::kUnknownIssuer;
    KeySource* pending = nullptr;
    // Envoy takes an arbitrary one of them.
    for (const JwtProvider* provider : providers_of(token.issuer, found)) {
      TokenError error = verify(*provider, provider->audiences, token);
      if (KeySource* awaited = std::exchange(verdicts_.pending, nullptr); awaited != nullptr) {
        pending = awaited;
        continue;
      }
      if (error == TokenError::kNone) {
        keep(*provider, found, std::move(token));
        return error;
      }
      if (told == TokenError::kUnknownIssuer) told = error;
    }
    verdicts_.pending = pending;
    return told;
  }

  // Whose keys may have signed such a token. None, if no provider that takes tokens of this issuer looks at this place;
  // one that takes any issuer's vouches for none that has a provider of its own.
  std::vector<const JwtProvider*> providers_of(const std::string& issuer, const FoundToken& found) const {
    std::vector<const JwtProvider*> looking, elsewhere, of_any_issuer;
    for (const JwtProviderPtr& provider : evaluation_.providers) {
      bool looks = looks_at(*provider, found);
      if (provider->issuer.empty() && looks) of_any_issuer.push_back(provider.get());
      if (provider->issuer != issuer || issuer.empty()) continue;
      (looks ? looking : elsewhere).push_back(provider.get());
    }
    if (!looking.empty()) return looking;
    return of_any_issuer.empty() || elsewhere.empty() ? of_any_issuer : elsewhere;
  }

  // What a provider takes out of the request is not there for the next one.
  std::vector<FoundToken> find(std::span<const JwtProviderPtr> providers) const {
    std::vector<FoundToken> tokens = find_tokens(providers, evaluation_.request);
    std::erase_if(tokens, [&](const FoundToken& token) {
      return std::any_of(verdicts_.good.begin(), verdicts_.good.end(), [&](const GoodToken& good) {
        return !good.provider->forward && good.found.where == token.where && good.found.name == token.name &&
               token.where != FoundToken::Where::kCookie;
      });
    });
    return tokens;
  }

  void keep(const JwtProvider& provider, const FoundToken& found, Token token) {
    verdicts_.good.push_back({&provider, found, std::move(token), verifier_});
  }

  TokenError verify(const JwtProvider& provider, const std::vector<std::string>& audiences, const Token& token) {
    if (provider.subjects && !provider.subjects->matches(token.subject)) return TokenError::kSubject;
    TokenError error = check_times(provider, token);
    if (error != TokenError::kNone) return error;
    if (!is_audience(audiences, token.audiences)) return TokenError::kAudience;
    KeySource* source = provider.keys.get();
    KeySetPtr keys = source->at_hand(evaluation_.worker, evaluation_.now_ms);
    if (keys != nullptr) return keys->verify(token);
    if (std::find(evaluation_.failed.begin(), evaluation_.failed.end(), source) != evaluation_.failed.end()) {
      return TokenError::kKeysNotFetched;
    }
    verdicts_.pending = source;
    return TokenError::kKeysNotFetched;
  }

  TokenError check_times(const JwtProvider& provider, const Token& token) const {
    auto now = static_cast<uint64_t>(evaluation_.wall_s);
    auto skew = static_cast<uint64_t>(provider.clock_skew_s);
    bool lifetime_matters = provider.require_expiration || provider.max_lifetime_s != 0;
    if (lifetime_matters && token.expires_s == 0) return TokenError::kNoExpiration;
    if (provider.max_lifetime_s != 0) {
      uint64_t from = token.issued_s != 0 ? token.issued_s : token.not_before_s != 0 ? token.not_before_s : now;
      if (token.expires_s > from && token.expires_s - from > static_cast<uint64_t>(provider.max_lifetime_s)) {
        return TokenError::kLifetime;
      }
    }
    if (now + skew < token.not_before_s) return TokenError::kNotYetValid;
    // Without an overflow, however far away its end is.
    if (token.expires_s != 0 && now > skew && now - skew > token.expires_s) return TokenError::kExpired;
    return TokenError::kNone;
  }

  const Evaluation& evaluation_;
  Verdicts verdicts_;
  int verifier_ = 0;
};

}  // namespace

std::string bare_audience(std::string_view audience) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (audience.starts_with(scheme)) {
      audience.remove_prefix(scheme.size());
      break;
    }
  }
  if (audience.ends_with('/')) audience.remove_suffix(1);
  return std::string(audience);
}

Verdicts evaluate(const JwtRequirement& requirement, const Evaluation& evaluation) {
  return Evaluator(evaluation).run(requirement);
}

}  // namespace weft::filter
