#include "control-plane/ca/jwt.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "api/text/base64url.h"
#include "api/text/cat.h"
#include "api/text/document.h"

namespace weft::control::ca {

using text::cat;

namespace {

using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using keys::KeyKind;
using text::Node;

// A token or set needs few levels.
constexpr int kMaxDepth = 16;
// Clocks differ: so much earlier than it says, a token is taken.
constexpr double kLeewaySeconds = 60;

struct Algorithm {
  std::string_view name;
  KeyKind kind;
  const EVP_MD* (*digest)();
  bool is_pss;
};
constexpr std::array<Algorithm, 8> kAlgorithms = {{{"RS256", KeyKind::kRsa, EVP_sha256, false},
                                                   {"RS384", KeyKind::kRsa, EVP_sha384, false},
                                                   {"RS512", KeyKind::kRsa, EVP_sha512, false},
                                                   {"PS256", KeyKind::kRsa, EVP_sha256, true},
                                                   {"PS384", KeyKind::kRsa, EVP_sha384, true},
                                                   {"PS512", KeyKind::kRsa, EVP_sha512, true},
                                                   {"ES256", KeyKind::kP256, EVP_sha256, false},
                                                   {"ES384", KeyKind::kP384, EVP_sha384, false}}};

absl::Status refused(std::string_view what) {
  return absl::UnauthenticatedError(cat("the service account's token is refused: ", what));
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  return text::decode_base64url(text, &bytes) ? std::optional(std::move(bytes)) : std::nullopt;
}

// A member of a map, once; null if it is not there or there twice, which readers take differently.
const Node* member(const Node& map, std::string_view name) {
  const Node* found = nullptr;
  for (const Node::Member& each : map.members()) {
    if (each.key != name) continue;
    if (found != nullptr) return nullptr;
    found = each.value;
  }
  return found;
}

bool has(const Node& map, std::string_view name) {
  for (const Node::Member& each : map.members()) {
    if (each.key == name) return true;
  }
  return false;
}

bool is_string(const Node* node) {
  return node != nullptr && node->kind == Node::Kind::kScalar && node->style == Node::Style::kQuoted;
}

// Empty if it is no string.
std::string string_of(const Node& map, std::string_view name) {
  const Node* node = member(map, name);
  return is_string(node) ? std::string(node->scalar()) : "";
}

std::optional<double> number_of(const Node& map, std::string_view name) {
  const Node* node = member(map, name);
  double number = 0;
  const bool is_number = node != nullptr && node->kind == Node::Kind::kScalar &&
                         node->style == Node::Style::kPlainJson &&
                         absl::SimpleAtod(text::to_absl(node->scalar()), &number);
  return is_number ? std::optional(number) : std::nullopt;
}

// Null if it is no JSON object.
const Node* read_object(std::string_view json, text::Document* document) {
  text::SyntaxError error;
  text::Position position;
  if (text::find_invalid_utf8(json, &position) || !text::read_json(json, kMaxDepth, 1, document, &error))
    return nullptr;
  return document->root != nullptr && document->root->kind == Node::Kind::kMap ? document->root : nullptr;
}

Number number_from(const std::string& bytes) {
  return Number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

// Of a kind that is not used here: nothing, and no error. A key that says what it is and is not: false.
bool read_key(const Node& jwk, std::vector<JsonWebKey>* out) {
  const std::string kind = string_of(jwk, "kty"), curve = string_of(jwk, "crv");
  const bool is_used = kind == "RSA" || (kind == "EC" && (curve == "P-256" || curve == "P-384"));
  if (!is_used) return true;
  auto key = keys::read_public_key({.type = kind,
                                    .curve = curve,
                                    .use = string_of(jwk, "use"),
                                    .n = string_of(jwk, "n"),
                                    .e = string_of(jwk, "e"),
                                    .x = string_of(jwk, "x"),
                                    .y = string_of(jwk, "y")});
  if (absl::IsUnimplemented(key.status())) return true;
  if (!key.ok()) return false;
  out->push_back({.id = string_of(jwk, "kid"), .algorithm = string_of(jwk, "alg"), .key = *std::move(key)});
  return true;
}

size_t coordinate_bytes(KeyKind kind) { return kind == KeyKind::kP384 ? 48 : 32; }

// JWS has the two numbers side by side (RFC 7518, section 3.4); OpenSSL wants them in DER.
std::optional<std::string> ecdsa_der(const std::string& raw, KeyKind kind) {
  const size_t half = coordinate_bytes(kind);
  if (raw.size() != 2 * half) return std::nullopt;
  const Signature signature(ECDSA_SIG_new());
  Number r = number_from(raw.substr(0, half));
  Number s = number_from(raw.substr(half));
  if (ECDSA_SIG_set0(signature.get(), r.release(), s.release()) != 1) return std::nullopt;
  unsigned char* bytes = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &bytes);
  if (size <= 0) return std::nullopt;
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

bool is_signed_by(const JsonWebKey& key, const Algorithm& algorithm, std::string_view text, const std::string& raw) {
  std::string signature = raw;
  if (algorithm.kind != KeyKind::kRsa) {
    const std::optional<std::string> der = ecdsa_der(raw, algorithm.kind);
    if (!der.has_value()) return false;
    signature = *der;
  }
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  bool is_ready =
      EVP_DigestVerifyInit(context.get(), &key_context, algorithm.digest(), nullptr, key.key.key.get()) == 1;
  if (is_ready && algorithm.is_pss) {
    is_ready = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  const bool is_good =
      is_ready &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  ERR_clear_error();
  return is_good;
}

absl::Status check_signature(const Node& header, std::string_view text, const std::string& signature,
                             const std::vector<JsonWebKey>& keys) {
  if (has(header, "crit")) return refused("its header asks for extensions (crit), of which none is known");
  const std::string name = string_of(header, "alg");
  const Algorithm* algorithm = nullptr;
  for (const Algorithm& each : kAlgorithms) algorithm = each.name == name ? &each : algorithm;
  if (algorithm == nullptr) {
    return refused("its algorithm (alg) is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384");
  }
  const std::string id = string_of(header, "kid");
  bool is_known = false;
  for (const JsonWebKey& key : keys) {
    if (!id.empty() && key.id != id) continue;
    // The key says what may be done with it, not the token.
    const bool fits = key.key.kind == algorithm->kind && (key.algorithm.empty() || key.algorithm == algorithm->name);
    if (!fits) continue;
    is_known = true;
    if (is_signed_by(key, *algorithm, text, signature)) return absl::OkStatus();
  }
  if (is_known) return refused("its signature is not by the key that it names");
  return absl::NotFoundError(
      "the service account's token is refused: no key of its issuer has its id (kid) and is for its "
      "algorithm (alg)");
}

bool has_audience(const Node& claims, const std::string& audience) {
  const Node* node = member(claims, "aud");
  if (node == nullptr) return false;
  if (is_string(node)) return node->scalar() == audience;
  for (const Node* each : node->items()) {
    if (is_string(each) && each->scalar() == audience) return true;
  }
  return false;
}

absl::Status check_claims(const Node& claims, const JwtExpectations& expected) {
  const double now = static_cast<double>(expected.now_ms) / 1000;
  if (string_of(claims, "iss") != expected.issuer) {
    return refused(cat("its issuer (iss) is not \"", expected.issuer, "\""));
  }
  if (!has_audience(claims, expected.audience)) {
    return refused(cat("it is not for the audience (aud) \"", expected.audience, "\""));
  }
  const std::optional<double> expires = number_of(claims, "exp");
  if (!expires.has_value()) return refused("it does not say when it expires (exp)");
  if (now >= *expires) return refused("it has expired (exp)");
  for (const char* name : {"nbf", "iat"}) {
    if (!has(claims, name)) continue;
    const std::optional<double> from = number_of(claims, name);
    if (!from.has_value() || now + kLeewaySeconds < *from)
      return refused(cat("it is not valid yet (", std::string(name), ")"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<JsonWebKey>> read_jwks(std::string_view json, const std::string& where) {
  if (json.size() > kMaxJwksBytes) {
    return absl::InvalidArgumentError(cat(where, ": has ", json.size(), " bytes; expected at most ", kMaxJwksBytes));
  }
  text::Document document;
  const Node* root = read_object(json, &document);
  const Node* list = root == nullptr ? nullptr : member(*root, "keys");
  if (list == nullptr || list->kind != Node::Kind::kList) {
    return absl::InvalidArgumentError(cat(where, ": is no JSON Web Key Set; expected {\"keys\": [...]}"));
  }
  if (list->items().size() > kMaxJwksKeys) {
    return absl::InvalidArgumentError(
        cat(where, ": has ", list->items().size(), " keys; expected at most ", kMaxJwksKeys));
  }
  std::vector<JsonWebKey> keys;
  for (size_t i = 0; i < list->items().size(); ++i) {
    if (list->items()[i]->kind == Node::Kind::kMap && read_key(*list->items()[i], &keys)) continue;
    return absl::InvalidArgumentError(
        cat(where, ": keys[", i, "]: cannot be read; expected RSA from 2048 bits with n and e, or EC with x and y"));
  }
  return keys;
}

absl::StatusOr<JwtClaims> verify_jwt(std::string_view token, const std::vector<JsonWebKey>& keys,
                                     const JwtExpectations& expected) {
  if (token.size() > kMaxJwtBytes) return refused(cat("it has more than ", kMaxJwtBytes, " bytes"));
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return refused("it is no JSON Web Token; expected three parts with dots between");
  }
  const std::optional<std::string> header_json = from_base64url(token.substr(0, first));
  const std::optional<std::string> claims_json = from_base64url(token.substr(first + 1, second - first - 1));
  const std::optional<std::string> signature = from_base64url(token.substr(second + 1));
  text::Document header_document;
  const Node* header = header_json.has_value() ? read_object(*header_json, &header_document) : nullptr;
  if (header == nullptr || !claims_json.has_value() || !signature.has_value()) {
    return refused("it is no JSON Web Token; expected base64url of JSON");
  }
  if (absl::Status status = check_signature(*header, token.substr(0, second), *signature, keys); !status.ok()) {
    return status;
  }
  text::Document claims_document;
  const Node* claims = read_object(*claims_json, &claims_document);
  if (claims == nullptr) return refused("its claims are no JSON object");
  if (absl::Status status = check_claims(*claims, expected); !status.ok()) return status;
  JwtClaims out{.subject = string_of(*claims, "sub"), .kubernetes_namespace = {}, .kubernetes_service_account = {}};
  if (const Node* kubernetes = member(*claims, "kubernetes.io"); kubernetes != nullptr) {
    out.kubernetes_namespace = string_of(*kubernetes, "namespace");
    const Node* account = member(*kubernetes, "serviceaccount");
    if (account != nullptr) out.kubernetes_service_account = string_of(*account, "name");
  }
  return out;
}

}  // namespace weft::control::ca
