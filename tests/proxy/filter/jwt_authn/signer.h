#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>
#include <string>

#include "api/text/base64url.h"

// Keys made for a test, and tokens signed by them.

namespace weft::filter {

class Signer {
 public:
  virtual ~Signer() = default;
  virtual std::string sign(const std::string& text) const = 0;
  // As a member of a JWKS's list.
  virtual std::string jwk(const std::string& id) const = 0;

  std::string token(const std::string& header, const std::string& payload) const {
    std::string text = text::encode_base64url(header) + '.' + text::encode_base64url(payload);
    return text + '.' + text::encode_base64url(sign(text));
  }
};

inline std::string bytes_of(const BIGNUM* number, size_t size) {
  std::string bytes(size, '\0');
  REQUIRE(BN_bn2bin_padded(reinterpret_cast<uint8_t*>(bytes.data()), size, number) == 1);
  return bytes;
}

class RsaSigner final : public Signer {
 public:
  explicit RsaSigner(const EVP_MD* digest, bool pss = false, int bits = 2048) : digest_(digest), pss_(pss) {
    bssl::UniquePtr<RSA> rsa(RSA_new());
    bssl::UniquePtr<BIGNUM> exponent(BN_new());
    BN_set_word(exponent.get(), RSA_F4);
    REQUIRE(RSA_generate_key_ex(rsa.get(), bits, exponent.get(), nullptr) == 1);
    key_.reset(EVP_PKEY_new());
    REQUIRE(EVP_PKEY_set1_RSA(key_.get(), rsa.get()) == 1);
  }
  std::string sign(const std::string& text) const override {
    bssl::ScopedEVP_MD_CTX context;
    EVP_PKEY_CTX* of_key = nullptr;
    REQUIRE(EVP_DigestSignInit(context.get(), &of_key, digest_, nullptr, key_.get()) == 1);
    if (pss_) {
      REQUIRE(EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) == 1);
      REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, -1) == 1);
    }
    std::string out(1024, '\0');
    size_t size = out.size();
    REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(out.data()), &size,
                           reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1);
    out.resize(size);
    return out;
  }
  std::string jwk(const std::string& id) const override {
    const RSA* rsa = EVP_PKEY_get0_RSA(key_.get());
    std::string n = text::encode_base64url(bytes_of(RSA_get0_n(rsa), RSA_size(rsa)));
    return R"({"kty":"RSA","kid":")" + id + R"(","n":")" + n + R"(","e":"AQAB"})";
  }

 private:
  const EVP_MD* digest_;
  bool pss_;
  bssl::UniquePtr<EVP_PKEY> key_;
};

class EcSigner final : public Signer {
 public:
  EcSigner(int curve, const char* name, size_t coordinate_bytes, const EVP_MD* digest)
      : name_(name), coordinate_bytes_(coordinate_bytes), digest_(digest), key_(EC_KEY_new_by_curve_name(curve)) {
    REQUIRE(EC_KEY_generate_key(key_.get()) == 1);
  }
  std::string sign(const std::string& text) const override {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    REQUIRE(EVP_Digest(text.data(), text.size(), digest, &size, digest_, nullptr) == 1);
    bssl::UniquePtr<ECDSA_SIG> parts(ECDSA_do_sign(digest, size, key_.get()));
    return bytes_of(ECDSA_SIG_get0_r(parts.get()), coordinate_bytes_) +
           bytes_of(ECDSA_SIG_get0_s(parts.get()), coordinate_bytes_);
  }
  std::string jwk(const std::string& id) const override {
    bssl::UniquePtr<BIGNUM> x(BN_new()), y(BN_new());
    REQUIRE(EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(key_.get()), EC_KEY_get0_public_key(key_.get()),
                                                x.get(), y.get(), nullptr) == 1);
    return R"({"kty":"EC","kid":")" + id + R"(","crv":")" + name_ + R"(","x":")" +
           text::encode_base64url(bytes_of(x.get(), coordinate_bytes_)) + R"(","y":")" +
           text::encode_base64url(bytes_of(y.get(), coordinate_bytes_)) + R"("})";
  }

 private:
  const char* name_;
  size_t coordinate_bytes_;
  const EVP_MD* digest_;
  bssl::UniquePtr<EC_KEY> key_;
};

class EdSigner final : public Signer {
 public:
  EdSigner() {
    uint8_t seed[32] = {7, 1, 2};
    key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, sizeof(seed)));
    REQUIRE(key_ != nullptr);
  }
  std::string sign(const std::string& text) const override {
    bssl::ScopedEVP_MD_CTX context;
    REQUIRE(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
    std::string out(64, '\0');
    size_t size = out.size();
    REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(out.data()), &size,
                           reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1);
    return out;
  }
  std::string jwk(const std::string& id) const override {
    uint8_t key[32];
    size_t size = sizeof(key);
    REQUIRE(EVP_PKEY_get_raw_public_key(key_.get(), key, &size) == 1);
    return R"({"kty":"OKP","crv":"Ed25519","kid":")" + id + R"(","x":")" +
           text::encode_base64url({reinterpret_cast<const char*>(key), size}) + R"("})";
  }

 private:
  bssl::UniquePtr<EVP_PKEY> key_;
};

}  // namespace weft::filter
