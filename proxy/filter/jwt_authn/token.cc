#include "proxy/filter/jwt_authn/token.h"

#include <cmath>

#include "api/text/base64url.h"
#include "proxy/filter/jwt_authn/json.h"

namespace weft::filter {
namespace {

using nlohmann::json;

constexpr std::string_view kTexts[] = {
    "OK",
    "Jwt is missing",
    "Jwt not yet valid",
    "Jwt is expired",
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    "Jwt header is an invalid Base64url encoded",
    "Jwt header is an invalid JSON",
    "Jwt header [alg] field is required and must be a string",
    "Jwt header [alg] is not supported",
    "Jwt header [kid] field must be a string",
    "Jwt payload is an invalid Base64url encoded",
    "Jwt payload is an invalid JSON",
    "Jwt payload [iss] field must be a string",
    "Jwt payload [sub] field must be a string",
    "Jwt payload [iat] field must be an integer",
    "Jwt payload [iat] field must be a positive 64 bit integer",
    "Jwt payload [nbf] field must be an integer",
    "Jwt payload [nbf] field must be a positive 64 bit integer",
    "Jwt payload [exp] field must be an integer",
    "Jwt payload [exp] field must be a positive 64 bit integer",
    "Jwt payload [jti] field must be a string",
    "Jwt payload [aud] field must be a string or string list",
    "Jwt signature is an invalid Base64url encoded",
    "Jwt issuer is not configured",
    "Audiences in Jwt are not allowed",
    "Subject in Jwt is not allowed",
    "Jwt must have an expiration",
    "Jwt lifetime exceeds the maximum allowed",
    "Jwt verification fails",
    "Jwks doesn't have key to match kid or alg from Jwt",
    "Jwks remote fetch is failed",
};

struct Algorithm {
  std::string_view name;
  TokenAlgorithm value;
};
constexpr Algorithm kAlgorithms[] = {
    {"RS256", TokenAlgorithm::kRs256}, {"RS384", TokenAlgorithm::kRs384}, {"RS512", TokenAlgorithm::kRs512},
    {"PS256", TokenAlgorithm::kPs256}, {"PS384", TokenAlgorithm::kPs384}, {"PS512", TokenAlgorithm::kPs512},
    {"ES256", TokenAlgorithm::kEs256}, {"ES384", TokenAlgorithm::kEs384}, {"ES512", TokenAlgorithm::kEs512},
    {"EdDSA", TokenAlgorithm::kEdDsa},
};

// Envoy knows them; no key of ours is for them.
bool is_hmac(std::string_view name) { return name == "HS256" || name == "HS384" || name == "HS512"; }

// nullptr: there is no such field.
const json* field(const json& object, const char* name) {
  auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

bool read_text(const json& object, const char* name, std::string* out) {
  const json* value = field(object, name);
  if (value == nullptr) return true;
  if (!value->is_string()) return false;
  *out = value->get_ref<const std::string&>();
  return true;
}

// RFC 7519's NumericDate, which may have a fraction.
TokenError read_time(const json& object, const char* name, TokenError no_number, TokenError out_of_range,
                     uint64_t* out) {
  const json* value = field(object, name);
  if (value == nullptr) return TokenError::kNone;
  if (value->is_number_unsigned()) {
    *out = value->get<uint64_t>();
    return TokenError::kNone;
  }
  if (!value->is_number()) return no_number;
  double number = value->get<double>();
  if (!(number >= 0 && number < 9.2e18)) return out_of_range;
  *out = static_cast<uint64_t>(number);
  return TokenError::kNone;
}

bool read_audiences(const json& payload, std::vector<std::string>* out) {
  const json* value = field(payload, "aud");
  if (value == nullptr) return true;
  if (value->is_string()) {
    out->push_back(value->get_ref<const std::string&>());
    return true;
  }
  if (!value->is_array()) return false;
  for (const json& each : *value) {
    if (!each.is_string()) return false;
    out->push_back(each.get_ref<const std::string&>());
  }
  return true;
}

TokenError read_header(Token* token) {
  json header = parse_json(token->header_json, kMaxTokenDepth);
  if (header.is_discarded() || !header.is_object()) return TokenError::kHeaderJson;
  if (field(header, "alg") == nullptr || !read_text(header, "alg", &token->algorithm_name))
    return TokenError::kHeaderAlg;
  token->algorithm = token_algorithm(token->algorithm_name);
  if (!token->algorithm && !is_hmac(token->algorithm_name)) return TokenError::kAlgNotSupported;
  // RFC 7515, 4.1.11: extensions that must be understood, of which we understand none.
  if (field(header, "crit") != nullptr) return TokenError::kBadFormat;
  return read_text(header, "kid", &token->key_id) ? TokenError::kNone : TokenError::kHeaderKid;
}

TokenError read_payload(Token* token) {
  json payload = parse_json(token->payload_json, kMaxTokenDepth);
  if (payload.is_discarded() || !payload.is_object()) return TokenError::kPayloadJson;
  if (!read_text(payload, "iss", &token->issuer)) return TokenError::kIss;
  if (!read_text(payload, "sub", &token->subject)) return TokenError::kSub;
  TokenError error = read_time(payload, "iat", TokenError::kIat, TokenError::kIatRange, &token->issued_s);
  if (error != TokenError::kNone) return error;
  error = read_time(payload, "nbf", TokenError::kNbf, TokenError::kNbfRange, &token->not_before_s);
  if (error != TokenError::kNone) return error;
  error = read_time(payload, "exp", TokenError::kExp, TokenError::kExpRange, &token->expires_s);
  if (error != TokenError::kNone) return error;
  std::string id;
  if (!read_text(payload, "jti", &id)) return TokenError::kJti;
  return read_audiences(payload, &token->audiences) ? TokenError::kNone : TokenError::kAud;
}

http::MetadataValue convert(const json& value, base::Arena& arena) {
  http::MetadataValue out;
  using Kind = http::MetadataValue::Kind;
  if (value.is_boolean()) return http::MetadataValue::of_bool(value.get<bool>());
  if (value.is_string()) return http::MetadataValue::of(arena.copy(value.get_ref<const std::string&>()));
  if (value.is_number()) {
    out.kind = Kind::kNumber;
    out.number = value.get<double>();
    return out;
  }
  if (!value.is_structured()) return out;
  out.kind = value.is_array() ? Kind::kList : Kind::kStruct;
  auto* entries = static_cast<http::MetadataEntry*>(arena.allocate(sizeof(http::MetadataEntry) * value.size()));
  out.entries = entries;
  for (auto each = value.begin(); each != value.end(); ++each) {
    std::string_view key = value.is_object() ? arena.copy(each.key()) : std::string_view();
    new (&entries[out.entry_count++]) http::MetadataEntry{key, convert(*each, arena)};
  }
  return out;
}

void split_words(json* value) {
  if (!value->is_string()) return;
  std::string text = value->get<std::string>();
  json words = json::array();
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(' ', at), text.size());
    if (end != at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  *value = std::move(words);
}

}  // namespace

std::string_view token_error_text(TokenError error) { return kTexts[static_cast<size_t>(error)]; }

std::optional<TokenAlgorithm> token_algorithm(std::string_view name) {
  for (const Algorithm& each : kAlgorithms) {
    if (each.name == name) return each.value;
  }
  return std::nullopt;
}

TokenError parse_token(std::string_view text, Token* token) {
  size_t first = text.find('.');
  size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) {
    return TokenError::kBadFormat;
  }
  if (first == 0 || second == first + 1 || second + 1 == text.size()) return TokenError::kBadFormat;
  token->text = text;
  token->signed_part = text.substr(0, second);
  token->payload_part = text.substr(first + 1, second - first - 1);
  if (!text::decode_base64url(text.substr(0, first), &token->header_json)) return TokenError::kHeaderBase64;
  TokenError error = read_header(token);
  if (error != TokenError::kNone) return error;
  if (!text::decode_base64url(token->payload_part, &token->payload_json)) return TokenError::kPayloadBase64;
  error = read_payload(token);
  if (error != TokenError::kNone) return error;
  if (!text::decode_base64url(text.substr(second + 1), &token->signature)) return TokenError::kSignatureBase64;
  return TokenError::kNone;
}

const http::MetadataValue* to_metadata(std::string_view text, const std::vector<std::string>& split,
                                       base::Arena& arena) {
  json value = parse_json(text, kMaxTokenDepth);
  if (value.is_discarded() || !value.is_object()) return nullptr;
  for (const std::string& name : split) {
    if (auto found = value.find(name); found != value.end()) split_words(&*found);
  }
  return new (arena.allocate(sizeof(http::MetadataValue))) http::MetadataValue(convert(value, arena));
}

}  // namespace weft::filter
