#include "tests/proxy/transport/test_authority.h"

#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proxy/base/assert.h"

namespace weft::transport::testing {

std::vector<std::string> TestAuthority::issue(const std::string& csr, const std::string& sans, int64_t not_before_s,
                                              int64_t not_after_s) const {
  const auto* at = reinterpret_cast<const uint8_t*>(csr.data());
  bssl::UniquePtr<X509_REQ> request(d2i_X509_REQ(nullptr, &at, static_cast<long>(csr.size())));
  WEFT_ASSERT(request != nullptr);
  bssl::UniquePtr<EVP_PKEY> key(X509_REQ_get_pubkey(request.get()));
  WEFT_ASSERT(X509_REQ_verify(request.get(), key.get()) == 1);
  bssl::UniquePtr<X509> made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 7);
  ASN1_TIME_set(X509_getm_notBefore(made.get()), not_before_s);
  ASN1_TIME_set(X509_getm_notAfter(made.get()), not_after_s);
  X509_set_issuer_name(made.get(), X509_get_subject_name(root_.x509()));
  X509_set_pubkey(made.get(), key.get());
  if (!sans.empty()) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, root_.x509(), made.get(), nullptr, nullptr, 0);
    bssl::UniquePtr<X509_EXTENSION> names(X509V3_EXT_nconf_nid(nullptr, &context, NID_subject_alt_name, sans.c_str()));
    X509_add_ext(made.get(), names.get(), -1);
  }
  std::string pem = root_.key_pem();
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ptrdiff_t>(pem.size())));
  bssl::UniquePtr<EVP_PKEY> root_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  WEFT_ASSERT(X509_sign(made.get(), root_key.get(), EVP_sha256()) > 0);
  uint8_t* der = nullptr;
  int size = i2d_X509(made.get(), &der);
  std::string leaf(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return {leaf};
}

}  // namespace weft::transport::testing
