#pragma once

// An issuer of service accounts' tokens for tests: keys, the set that it publishes, and whatever tokens are asked for.

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "control-plane/ca/jwt.h"

namespace weft::control::ca {

inline std::string base64url(const std::string& bytes) {
  std::string out;
  absl::WebSafeBase64Escape(bytes, &out);
  while (!out.empty() && out.back() == '=') out.pop_back();
  return out;
}

inline std::string number_of(const EVP_PKEY& key, const char* name, int bytes) {
  BIGNUM* number = nullptr;
  REQUIRE(EVP_PKEY_get_bn_param(&key, name, &number) == 1);
  std::string out(static_cast<size_t>(bytes == 0 ? BN_num_bytes(number) : bytes), '\0');
  REQUIRE(BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) > 0);
  BN_free(number);
  return base64url(out);
}

inline std::string rsa_jwk(const EVP_PKEY& key, const std::string& id, const std::string& more = "") {
  return "{\"kty\":\"RSA\",\"kid\":\"" + id + "\",\"n\":\"" + number_of(key, OSSL_PKEY_PARAM_RSA_N, 0) + "\",\"e\":\"" +
         number_of(key, OSSL_PKEY_PARAM_RSA_E, 0) + "\"" + more + "}";
}

inline std::string ec_jwk(const EVP_PKEY& key, const std::string& id, const std::string& curve, int bytes) {
  return "{\"kty\":\"EC\",\"crv\":\"" + curve + "\",\"kid\":\"" + id + "\",\"x\":\"" +
         number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, bytes) + "\",\"y\":\"" +
         number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes) + "\"}";
}

inline std::string signature_of(EVP_PKEY& key, const EVP_MD* digest, const std::string& text, int padding) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* key_context = nullptr;
  REQUIRE(EVP_DigestSignInit(context, &key_context, digest, nullptr, &key) == 1);
  if (padding != 0) {
    REQUIRE(EVP_PKEY_CTX_set_rsa_padding(key_context, padding) == 1);
    REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  REQUIRE(EVP_DigestSign(context, nullptr, &size, bytes, text.size()) == 1);
  std::string out(size, '\0');
  REQUIRE(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size()) == 1);
  EVP_MD_CTX_free(context);
  out.resize(size);
  return out;
}

// As JWS has it: both numbers, each of so many bytes.
inline std::string raw_signature(const std::string& der, int bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  REQUIRE(signature != nullptr);
  std::string out(static_cast<size_t>(2 * bytes), '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), to, bytes);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), to + bytes, bytes);
  ECDSA_SIG_free(signature);
  return out;
}

// Header and claims, to be signed.
inline std::string unsigned_jwt(const std::string& header, const std::string& claims) {
  return base64url(header) + "." + base64url(claims);
}

inline std::string rs256(EVP_PKEY& key, const std::string& header, const std::string& claims) {
  const std::string text = unsigned_jwt(header, claims);
  return text + "." + base64url(signature_of(key, EVP_sha256(), text, 0));
}

inline std::string es256(EVP_PKEY& key, const std::string& header, const std::string& claims) {
  const std::string text = unsigned_jwt(header, claims);
  return text + "." + base64url(raw_signature(signature_of(key, EVP_sha256(), text, 0), 32));
}

}  // namespace weft::control::ca
