#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/metadata.h"

// A JSON Web Token in compact form (RFC 7519, RFC 7515), read and not yet believed. Tokens are what clients send: every
// size and depth is bounded. Pure; any thread.

namespace weft::filter {

// What is wrong with a token; told to the client in Envoy's words.
enum class TokenError : uint8_t {
  kNone,
  kMissing,
  kNotYetValid,
  kExpired,
  kBadFormat,
  kHeaderBase64,
  kHeaderJson,
  kHeaderAlg,
  kAlgNotSupported,
  kHeaderKid,
  kPayloadBase64,
  kPayloadJson,
  kIss,
  kSub,
  kIat,
  kIatRange,
  kNbf,
  kNbfRange,
  kExp,
  kExpRange,
  kJti,
  kAud,
  kSignatureBase64,
  kUnknownIssuer,
  kAudience,
  kSubject,
  kNoExpiration,
  kLifetime,
  kSignature,
  kNoKey,
  kKeysNotFetched,
};
std::string_view token_error_text(TokenError error);

// The signatures that are taken. HMAC is not among them: a public key can thus never be used as a shared secret.
enum class TokenAlgorithm : uint8_t { kRs256, kRs384, kRs512, kPs256, kPs384, kPs512, kEs256, kEs384, kEs512, kEdDsa };
std::optional<TokenAlgorithm> token_algorithm(std::string_view name);

struct Token {
  std::string_view text;         // Of the three parts; lives as long as what was parsed.
  std::string_view signed_part;  // Header and payload with the dot between.
  std::string_view payload_part;
  std::string algorithm_name;
  std::optional<TokenAlgorithm> algorithm;  // Unset: one that Envoy knows and we take none of (HMAC).
  std::string key_id;
  std::string signature;
  std::string header_json, payload_json;
  std::string issuer, subject;
  std::vector<std::string> audiences;
  uint64_t issued_s = 0, not_before_s = 0, expires_s = 0;  // 0: not said.
};

inline constexpr int kMaxTokenDepth = 32;

TokenError parse_token(std::string_view text, Token* token);

// The JSON object in the arena; nullptr if it is none, or deeper than kMaxTokenDepth. Of `split`, claims that are texts
// become lists of their words.
const http::MetadataValue* to_metadata(std::string_view json, const std::vector<std::string>& split,
                                       base::Arena& arena);

}  // namespace weft::filter
