#include "proxy/transport/signing_request.h"

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"
#include "proxy/transport/tls_certificate.h"

namespace weft::transport {
namespace {

constexpr size_t kMaxChain = 10;

// What was written, taken out of the library's memory, which is wiped.
std::string taken(BIO* bio) {
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio, &bytes, &size);
  std::string text(reinterpret_cast<const char*>(bytes), size);
  OPENSSL_cleanse(const_cast<uint8_t*>(bytes), size);
  return text;
}

absl::Status no_request() {
  return absl::InternalError(absl::StrCat("a key and its signing request cannot be made: ", take_tls_reason()));
}

}  // namespace

absl::StatusOr<SigningRequest> make_signing_request() {
  ERR_clear_error();
  bssl::UniquePtr<EC_KEY> curve_key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  if (curve_key == nullptr || key == nullptr || request == nullptr) return no_request();
  if (EC_KEY_generate_key(curve_key.get()) != 1 || EVP_PKEY_set1_EC_KEY(key.get(), curve_key.get()) != 1 ||
      X509_REQ_set_version(request.get(), 0) != 1 || X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return no_request();
  }
  SigningRequest result;
  uint8_t* der = nullptr;
  int size = i2d_X509_REQ(request.get(), &der);
  if (size <= 0) return no_request();
  result.csr.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  bssl::UniquePtr<BIO> pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return no_request();
  }
  result.private_key_pem = taken(pem.get());
  return result;
}

absl::StatusOr<IssuedCertificate> read_issued(const std::vector<std::string>& chain,
                                              const std::string& private_key_pem) {
  if (chain.empty() || chain.size() > kMaxChain) {
    return absl::InvalidArgumentError(
        absl::StrCat("the chain has ", chain.size(), " certificates; expected 1 to ", kMaxChain));
  }
  ERR_clear_error();
  IssuedCertificate result;
  for (const std::string& der : chain) {
    const auto* at = reinterpret_cast<const uint8_t*>(der.data());
    const uint8_t* end = at + der.size();
    bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (certificate == nullptr || at != end) {
      return absl::InvalidArgumentError(absl::StrCat("the chain holds what is no certificate: ", take_tls_reason()));
    }
    result.chain_pem += certificate_pem(certificate.get());
  }
  TlsCertificateConfig config;
  config.chain.bytes = result.chain_pem;
  config.private_key.bytes = private_key_pem;
  absl::StatusOr<Identity> identity = load_identity(config);
  if (!identity.ok()) return absl::InvalidArgumentError("the certificate is not for the key that was sent");
  CertificateInfo leaf = certificate_info(identity->chain.front().get(), "", false);
  if (leaf.uri_sans.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate has ", leaf.uri_sans.size(), " URI names; expected one, its SPIFFE ID"));
  }
  result.uri = leaf.uri_sans.front();
  result.serial = leaf.serial;
  result.not_before_s = leaf.not_before_s;
  result.not_after_s = leaf.not_after_s;
  return result;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace weft::transport
