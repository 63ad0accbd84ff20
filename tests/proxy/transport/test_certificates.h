#pragma once

#include <openssl/base.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <string>

// Certificates for tests, made on the spot.

namespace weft::transport::testing {

constexpr int64_t kDayS = 24 * 60 * 60;

enum class KeyKind { kEcdsa, kRsa };

class TestCertificate {
 public:
  // `sans` as OpenSSL writes them: "DNS:a.example,URI:spiffe://a/b,IP:127.0.0.1". Signed by `issuer`, or by itself.
  // Valid from a day ago for `valid_s` from now (negative: expired).
  TestCertificate(std::string common_name, std::string sans, const TestCertificate* issuer, KeyKind kind,
                  bool is_ca = false, int64_t valid_s = 30 * kDayS);
  std::string pem() const;
  std::string key_pem(const std::string& password = "") const;
  // A list by this CA that revokes `revoked`.
  std::string crl_pem(const TestCertificate& revoked) const;
  X509* x509() const { return certificate_.get(); }

 private:
  bssl::UniquePtr<X509> certificate_;
  bssl::UniquePtr<EVP_PKEY> key_;
};

}  // namespace weft::transport::testing
