#include "proxy/filter/jwt_authn/evaluate.h"

#include <algorithm>

namespace weft::filter {
namespace {

using Kind = JwtRequirement::Kind;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// As Envoy's: from the first of a token's characters on.
std::string_view token_in(std::string_view text) {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  size_t begin = text.find_first_of(kCharacters);
  if (begin == std::string_view::npos) return trimmed(text);
  text.remove_prefix(begin);
  return trimmed(text);
}

// Calls f(name, value) for each "name=value" between separators.
template <typename F>
void for_each_pair(std::string_view text, char separator, F f) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    if (equals != std::string_view::npos) f(trimmed(pair.substr(0, equals)), trimmed(pair.substr(equals + 1)));
  }
}

std::string_view query_of(std::string_view path) {
  size_t question = path.find('?');
  if (question == std::string_view::npos) return {};
  path.remove_prefix(question + 1);
  return path.substr(0, path.find('#'));
}

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
    }
    return TokenError::kMissing;
  }

  TokenError ask_any(const JwtRequirement& requirement) {
    TokenError told = TokenError::kMissing;
    for (const JwtRequirement& part : requirement.parts) {
      TokenError error = ask(part);
      if (error == TokenError::kNone || verdicts_.pending != nullptr) return error;
      // What is wrong with a token says more than that another one is not there.
      if (told == TokenError::kMissing || told == TokenError::kUnknownIssuer) told = error;
    }
    return told;
  }

  TokenError ask_provider(const JwtRequirement& requirement) {
    const JwtProvider& provider = *requirement.provider;
    std::vector<FoundToken> tokens = find_tokens(provider, evaluation_.request);
    if (tokens.empty()) return TokenError::kMissing;
    for (const FoundToken& found : tokens) {
      GoodToken good{found, {}};
      TokenError error = parse_token(found.text, &good.token);
      if (error == TokenError::kNone && !provider.issuer.empty() && good.token.issuer != provider.issuer) {
        error = TokenError::kUnknownIssuer;
      }
      if (error == TokenError::kNone) {
        error = verify(provider, requirement.audiences ? *requirement.audiences : provider.audiences, good.token);
      }
      if (error != TokenError::kNone || verdicts_.pending != nullptr) return error;
      verdicts_.good.push_back(std::move(good));
    }
    return TokenError::kNone;
  }

  // The token of each provider's places, verified by the provider whose issuer it names.
  TokenError ask_whatever_is_there() {
    TokenError last = TokenError::kMissing;
    std::vector<std::string_view> seen;
    for (const JwtProviderPtr& place : evaluation_.providers) {
      for (const FoundToken& found : find_tokens(*place, evaluation_.request)) {
        if (std::find(seen.begin(), seen.end(), found.text) != seen.end()) continue;
        seen.push_back(found.text);
        TokenError error = ask_issuer_of(found);
        if (verdicts_.pending != nullptr) return error;
        if (error != TokenError::kNone) last = error;
        if (error == TokenError::kNone && last == TokenError::kMissing) last = TokenError::kNone;
      }
    }
    return last;
  }

  TokenError ask_issuer_of(const FoundToken& found) {
    GoodToken good{found, {}};
    TokenError error = parse_token(found.text, &good.token);
    if (error != TokenError::kNone) return error;
    for (const JwtProviderPtr& provider : evaluation_.providers) {
      if (!provider->issuer.empty() && provider->issuer != good.token.issuer) continue;
      error = verify(*provider, provider->audiences, good.token);
      if (error != TokenError::kNone || verdicts_.pending != nullptr) return error;
      good.found.provider = provider.get();
      verdicts_.good.push_back(std::move(good));
      return TokenError::kNone;
    }
    return TokenError::kUnknownIssuer;
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

std::vector<FoundToken> find_tokens(const JwtProvider& provider, const http::RequestHead& request) {
  using Where = FoundToken::Where;
  std::vector<FoundToken> found;
  for (const JwtProvider::HeaderLocation& location : provider.headers) {
    for (const http::Header& header : request.headers) {
      if (!http::equals_ignoring_case(header.name, location.name)) continue;
      if (!header.value.starts_with(location.prefix)) continue;
      std::string_view text = token_in(header.value.substr(location.prefix.size()));
      found.push_back({&provider, text, Where::kHeader, location.name});
    }
  }
  for (const std::string& name : provider.params) {
    for_each_pair(query_of(request.path), '&', [&](std::string_view key, std::string_view value) {
      if (key == name) found.push_back({&provider, value, Where::kParam, name});
    });
  }
  for (const std::string& name : provider.cookies) {
    for (const http::Header& header : request.headers) {
      if (header.id != http::HeaderId::kCookie) continue;
      for_each_pair(header.value, ';', [&](std::string_view key, std::string_view value) {
        if (key == name) found.push_back({&provider, value, Where::kCookie, name});
      });
    }
  }
  return found;
}

void remove_token(const FoundToken& token, http::RequestHead& request) {
  if (token.where == FoundToken::Where::kHeader) {
    request.headers.remove(token.name);
    return;
  }
  if (token.where != FoundToken::Where::kParam) return;
  std::string_view query = query_of(request.path);
  if (query.empty()) return;
  size_t before = static_cast<size_t>(query.data() - request.path.data());
  std::string kept;
  for (std::string_view rest = query; !rest.empty();) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.substr(0, pair.find('=')) == token.name) continue;
    kept.append(kept.empty() ? "" : "&").append(pair);
  }
  std::string path(request.path.substr(0, kept.empty() ? before - 1 : before));
  path.append(kept).append(request.path.substr(before + query.size()));
  request.path = request.headers.arena().copy(path);
}

Verdicts evaluate(const JwtRequirement& requirement, const Evaluation& evaluation) {
  return Evaluator(evaluation).run(requirement);
}

}  // namespace weft::filter
