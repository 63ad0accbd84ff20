#include "proxy/filter/jwt_authn/keys.h"

#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "absl/strings/str_cat.h"
#include "proxy/filter/jwt_authn/json.h"

namespace weft::filter {
namespace {

using nlohmann::json;

constexpr size_t kMaxKeys = 100;
constexpr int kMaxDepth = 8;
constexpr size_t kEd25519SignatureBytes = 64;

std::string text_of(const json& key, const char* name) {
  auto found = key.find(name);
  return found != key.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const uint8_t* octets(const std::string& bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

bssl::UniquePtr<BIGNUM> number(const std::string& bytes) {
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(octets(bytes), bytes.size(), nullptr));
}

const EVP_MD* digest_of(TokenAlgorithm algorithm) {
  switch (algorithm) {
    case TokenAlgorithm::kRs384:
    case TokenAlgorithm::kPs384:
    case TokenAlgorithm::kEs384:
      return EVP_sha384();
    case TokenAlgorithm::kRs512:
    case TokenAlgorithm::kPs512:
    case TokenAlgorithm::kEs512:
      return EVP_sha512();
    default:
      return EVP_sha256();
  }
}

bool is_pss(TokenAlgorithm algorithm) {
  return algorithm == TokenAlgorithm::kPs256 || algorithm == TokenAlgorithm::kPs384 ||
         algorithm == TokenAlgorithm::kPs512;
}

bool verify_rsa(EVP_PKEY* key, TokenAlgorithm algorithm, std::string_view text, const std::string& signature) {
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* of_key = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &of_key, digest_of(algorithm), nullptr, key) != 1) return false;
  // RFC 7518, 3.5: the salt is as long as the digest.
  if (is_pss(algorithm) && (EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) != 1 ||
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, -1) != 1)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), octets(signature), signature.size(),
                          reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1;
}

// RFC 7518, 3.4: R and S one after the other, each as long as the curve's order.
bool verify_ecdsa(EVP_PKEY* key, TokenAlgorithm algorithm, size_t coordinate_bytes, std::string_view text,
                  const std::string& signature) {
  if (signature.size() != 2 * coordinate_bytes) return false;
  bssl::UniquePtr<ECDSA_SIG> parts(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> r = number(signature.substr(0, coordinate_bytes));
  bssl::UniquePtr<BIGNUM> s = number(signature.substr(coordinate_bytes));
  if (parts == nullptr || ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return false;
  r.release();
  s.release();
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, digest_of(algorithm), nullptr) != 1) return false;
  return ECDSA_do_verify(digest, size, parts.get(), EVP_PKEY_get0_EC_KEY(key)) == 1;
}

bool verify_ed25519(EVP_PKEY* key, std::string_view text, const std::string& signature) {
  if (signature.size() != kEd25519SignatureBytes) return false;
  bssl::ScopedEVP_MD_CTX context;
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(),
                          reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1;
}

}  // namespace

class KeyReader {
 public:
  // False: it is none that we take.
  static bool read(const json& value, KeySet::Key* out) {
    if (!value.is_object()) return false;
    out->id = text_of(value, "kid");
    out->algorithm = text_of(value, "alg");
    auto key = keys::read_public_key({.type = text_of(value, "kty"),
                                      .curve = text_of(value, "crv"),
                                      .use = text_of(value, "use"),
                                      .n = text_of(value, "n"),
                                      .e = text_of(value, "e"),
                                      .x = text_of(value, "x"),
                                      .y = text_of(value, "y")});
    if (!key.ok()) return false;
    out->kind = key->kind;
    out->key = std::move(key->key);
    return true;
  }

  static absl::StatusOr<KeySetPtr> read_set(std::string_view text) {
    json set = parse_json(text, kMaxDepth);
    if (set.is_discarded() || !set.is_object()) return absl::InvalidArgumentError("expected a JSON object");
    auto keys = set.find("keys");
    if (keys == set.end() || !keys->is_array()) return absl::InvalidArgumentError("expected a list \"keys\"");
    if (keys->size() > kMaxKeys) {
      return absl::InvalidArgumentError(
          absl::StrCat("it has ", keys->size(), " keys; at most ", kMaxKeys, " are taken"));
    }
    std::shared_ptr<KeySet> result(new KeySet());
    for (const json& value : *keys) {
      KeySet::Key key;
      if (read(value, &key)) result->keys_.push_back(std::move(key));
    }
    if (result->keys_.empty()) {
      return absl::InvalidArgumentError(
          "it has no key that can be used: RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, or OKP Ed25519");
    }
    return KeySetPtr(std::move(result));
  }
};

KeySet::~KeySet() = default;

absl::StatusOr<KeySetPtr> KeySet::parse(std::string_view text) { return KeyReader::read_set(text); }

bool KeySet::is_meant(const Key& key, const Token& token) {
  if (!token.key_id.empty() && !key.id.empty() && key.id != token.key_id) return false;
  return key.algorithm.empty() || key.algorithm == token.algorithm_name;
}

// An algorithm goes with one kind of key, and with one curve (RFC 7518, 3.4).
bool KeySet::fits(const Key& key, const Token& token) {
  if (!token.algorithm) return false;
  switch (*token.algorithm) {
    case TokenAlgorithm::kEs256:
      return key.kind == keys::KeyKind::kP256;
    case TokenAlgorithm::kEs384:
      return key.kind == keys::KeyKind::kP384;
    case TokenAlgorithm::kEs512:
      return key.kind == keys::KeyKind::kP521;
    case TokenAlgorithm::kEdDsa:
      return key.kind == keys::KeyKind::kEd25519;
    default:
      return key.kind == keys::KeyKind::kRsa;
  }
}

bool KeySet::verifies(const Key& key, const Token& token) {
  switch (key.kind) {
    case keys::KeyKind::kRsa:
      return verify_rsa(key.key.get(), *token.algorithm, token.signed_part, token.signature);
    case keys::KeyKind::kP256:
      return verify_ecdsa(key.key.get(), *token.algorithm, 32, token.signed_part, token.signature);
    case keys::KeyKind::kP384:
      return verify_ecdsa(key.key.get(), *token.algorithm, 48, token.signed_part, token.signature);
    case keys::KeyKind::kP521:
      return verify_ecdsa(key.key.get(), *token.algorithm, 66, token.signed_part, token.signature);
    case keys::KeyKind::kEd25519:
      return verify_ed25519(key.key.get(), token.signed_part, token.signature);
  }
  return false;
}

TokenError KeySet::verify(const Token& token) const {
  bool any = false;
  for (const Key& key : keys_) {
    if (!is_meant(key, token)) continue;
    any = true;
    if (fits(key, token) && verifies(key, token)) return TokenError::kNone;
  }
  // What BoringSSL noted of a signature that is not right is nobody's mistake.
  ERR_clear_error();
  return any ? TokenError::kSignature : TokenError::kNoKey;
}

}  // namespace weft::filter
