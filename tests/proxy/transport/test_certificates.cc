#include "tests/proxy/transport/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "proxy/base/assert.h"

namespace weft::transport::testing {
namespace {

bssl::UniquePtr<EVP_PKEY> make_key(KeyKind kind) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (kind == KeyKind::kEcdsa) {
    EC_KEY* ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    WEFT_ASSERT(EC_KEY_generate_key(ec) == 1);
    EVP_PKEY_assign_EC_KEY(key.get(), ec);
  } else {
    RSA* rsa = RSA_new();
    bssl::UniquePtr<BIGNUM> exponent(BN_new());
    BN_set_word(exponent.get(), RSA_F4);
    WEFT_ASSERT(RSA_generate_key_ex(rsa, 2048, exponent.get(), nullptr) == 1);
    EVP_PKEY_assign_RSA(key.get(), rsa);
  }
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  WEFT_ASSERT(extension != nullptr);
  X509_add_ext(certificate, extension.get(), -1);
}

std::string contents(BIO* bio) {
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio, &bytes, &size);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace

TestCertificate::TestCertificate(std::string common_name, std::string sans, const TestCertificate* issuer, KeyKind kind,
                                 bool is_ca, int64_t valid_s)
    : certificate_(X509_new()), key_(make_key(kind)) {
  static long serial = 1000;
  X509* x = certificate_.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -kDayS * (valid_s < 0 ? 60 : 1));
  X509_gmtime_adj(X509_getm_notAfter(x), valid_s);
  bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  X509_NAME_add_entry_by_txt(name.get(), "CN", MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  X509_set_subject_name(x, name.get());
  X509* by = issuer == nullptr ? x : issuer->certificate_.get();
  X509_set_issuer_name(x, X509_get_subject_name(by));
  X509_set_pubkey(x, key_.get());
  add_extension(x, by, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
  if (is_ca) add_extension(x, by, NID_key_usage, "critical,keyCertSign,cRLSign");
  if (!sans.empty()) add_extension(x, by, NID_subject_alt_name, sans);
  WEFT_ASSERT(X509_sign(x, issuer == nullptr ? key_.get() : issuer->key_.get(), EVP_sha256()) > 0);
}

std::string TestCertificate::pem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate_.get());
  return contents(bio.get());
}

std::string TestCertificate::key_pem(const std::string& password) const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (password.empty()) {
    PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  } else {
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), EVP_aes_256_cbc(), const_cast<char*>(password.data()),
                                  static_cast<int>(password.size()), nullptr, nullptr);
  }
  return contents(bio.get());
}

std::string TestCertificate::crl_pem(const TestCertificate& revoked) const {
  bssl::UniquePtr<X509_CRL> crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get()));
  bssl::UniquePtr<ASN1_TIME> last(ASN1_TIME_new()), next(ASN1_TIME_new());
  X509_gmtime_adj(last.get(), -kDayS);
  X509_gmtime_adj(next.get(), kDayS);
  X509_CRL_set1_lastUpdate(crl.get(), last.get());
  X509_CRL_set1_nextUpdate(crl.get(), next.get());
  X509_REVOKED* entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked.certificate_.get()));
  X509_REVOKED_set_revocationDate(entry, last.get());
  X509_CRL_add0_revoked(crl.get(), entry);
  X509_CRL_sort(crl.get());
  WEFT_ASSERT(X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) > 0);
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), crl.get());
  return contents(bio.get());
}

}  // namespace weft::transport::testing
