#pragma once

// OpenSSL's keys and certificates behind absl::Status: read, made, written. Pure; any thread.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/keys/freed.h"
#include "control-plane/ca/digest.h"

namespace weft::control::ca {

using keys::Freed;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using CertificateRequest = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;

// Why the library's last call failed, in its words; it is forgotten then.
std::string library_error();
// Internal: "cannot make a key: ...".
absl::Status library_failure(std::string_view doing);

// Reads memory that outlives it.
Bio bio_of(std::string_view bytes);

// ECDSA on P-256.
absl::StatusOr<Key> make_key();

// InvalidArgument names `where`, a file's path say.
absl::StatusOr<Key> read_key_pem(std::string_view pem, const std::string& where);
// At least one, in the order of the text.
absl::StatusOr<std::vector<Certificate>> read_certificates_pem(std::string_view pem, const std::string& where);

absl::StatusOr<std::string> to_pem(const EVP_PKEY& key);
absl::StatusOr<std::string> to_pem(const X509& certificate);
absl::StatusOr<std::string> to_der(const X509& certificate);

// SHA-256 of the DER.
absl::StatusOr<Digest> fingerprint_of(const X509& certificate);
// Upper-case hexadecimal digits, as openssl shows it.
std::string serial_of(const X509& certificate);
// Milliseconds since the epoch.
int64_t not_before_ms(const X509& certificate);
int64_t not_after_ms(const X509& certificate);
// Of the subject; empty if it has none.
std::string subject_part(const X509& certificate, int nid);

struct CertificateDraft {
  // By NID, as NID_commonName.
  std::vector<std::pair<int, std::string>> subject;
  int64_t not_before_ms = 0;
  int64_t not_after_ms = 0;
  // By NID, in the words of openssl's configuration: "critical,CA:FALSE".
  std::vector<std::pair<int, std::string>> extensions;
};

// Signed by `issuer`'s key, or by its own (`issuer` null). With a random serial of 127 bits.
absl::StatusOr<Certificate> make_certificate(const CertificateDraft& draft, EVP_PKEY& key, X509* issuer,
                                             EVP_PKEY& issuer_key);

}  // namespace weft::control::ca
