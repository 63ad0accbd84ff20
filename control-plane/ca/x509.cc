#include "control-plane/ca/x509.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "api/text/cat.h"

namespace weft::control::ca {

using text::cat;

namespace {

using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Time = std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>>;

constexpr char kCurve[] = "P-256";
constexpr int kSerialBits = 127;
constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kSecondsPerDay = 86'400;
constexpr size_t kMaxSubjectBytes = 256;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// A passphrase cannot be asked for.
int no_passphrase(char*, int, int, void*) { return -1; }

int64_t ms_of(const ASN1_TIME* time) {
  const Time epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return (days * kSecondsPerDay + seconds) * kMsPerSecond;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer == nullptr ? certificate : issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool add_subject(X509_NAME* name, int nid, const std::string& value) {
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

bool set_times(X509* certificate, const CertificateDraft& draft) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), draft.not_before_ms / kMsPerSecond) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), draft.not_after_ms / kMsPerSecond) != nullptr;
}

bool fill(X509* certificate, const CertificateDraft& draft, EVP_PKEY& key, X509* issuer) {
  const Number serial(BN_new());
  X509_NAME* name = X509_get_subject_name(certificate);
  const bool is_begun = serial != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 &&
                        BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                        BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr &&
                        set_times(certificate, draft) && X509_set_pubkey(certificate, &key) == 1;
  if (!is_begun) return false;
  for (const auto& [nid, value] : draft.subject) {
    if (!add_subject(name, nid, value)) return false;
  }
  if (X509_set_issuer_name(certificate, issuer == nullptr ? name : X509_get_subject_name(issuer)) != 1) return false;
  for (const auto& [nid, value] : draft.extensions) {
    if (!add_extension(certificate, issuer, nid, value)) return false;
  }
  return true;
}

// Null for keys that digest by themselves, as Ed25519 does.
const EVP_MD* digest_for(EVP_PKEY& key) {
  int nid = NID_undef;
  const int known = EVP_PKEY_get_default_digest_nid(&key, &nid);
  return known == 2 && nid == NID_undef ? nullptr : EVP_sha256();
}

}  // namespace

std::string library_error() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown" : reason;
}

absl::Status library_failure(std::string_view doing) {
  return absl::InternalError(cat("cannot ", doing, ": ", library_error()));
}

Bio bio_of(std::string_view bytes) { return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

absl::StatusOr<Key> make_key() {
  Key key(EVP_EC_gen(kCurve));
  if (key == nullptr) return library_failure("make a key");
  return key;
}

absl::StatusOr<Key> read_key_pem(std::string_view pem, const std::string& where) {
  Key key(PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        cat(where, ": expected a private key in PEM without a passphrase: ", library_error()));
  }
  return key;
}

absl::StatusOr<std::vector<Certificate>> read_certificates_pem(std::string_view pem, const std::string& where) {
  std::vector<Certificate> certificates;
  const Bio bio = bio_of(pem);
  for (;;) {
    Certificate each(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (each == nullptr) break;
    certificates.push_back(std::move(each));
  }
  // That nothing more begins is how the text ends.
  const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (certificates.empty() || !is_at_end) {
    return absl::InvalidArgumentError(cat(where, ": expected a certificate in PEM: ", library_error()));
  }
  ERR_clear_error();
  return certificates;
}

absl::StatusOr<std::string> to_pem(const EVP_PKEY& key) {
  const Bio text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(text.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return library_failure("write a key");
  }
  return text_of(text.get());
}

absl::StatusOr<std::string> to_pem(const X509& certificate) {
  const Bio text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(text.get(), &certificate) != 1) return library_failure("write a certificate");
  return text_of(text.get());
}

absl::StatusOr<std::string> to_der(const X509& certificate) {
  const Bio bytes(BIO_new(BIO_s_mem()));
  if (i2d_X509_bio(bytes.get(), &certificate) != 1) return library_failure("write a certificate");
  return text_of(bytes.get());
}

absl::StatusOr<Digest> fingerprint_of(const X509& certificate) {
  Digest digest;
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &size) != 1 || size != digest.size()) {
    return library_failure("digest the certificate");
  }
  return digest;
}

std::string serial_of(const X509& certificate) {
  const Number number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  if (number == nullptr) return "";
  char* digits = BN_bn2hex(number.get());
  const std::string text = digits == nullptr ? "" : digits;
  OPENSSL_free(digits);
  return text;
}

int64_t not_before_ms(const X509& certificate) { return ms_of(X509_get0_notBefore(&certificate)); }
int64_t not_after_ms(const X509& certificate) { return ms_of(X509_get0_notAfter(&certificate)); }

std::string subject_part(const X509& certificate, int nid) {
  char text[kMaxSubjectBytes] = "";
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), nid, text, sizeof(text));
  return size <= 0 ? "" : std::string(text, static_cast<size_t>(size));
}

absl::StatusOr<Certificate> make_certificate(const CertificateDraft& draft, EVP_PKEY& key, X509* issuer,
                                             EVP_PKEY& issuer_key) {
  Certificate certificate(X509_new());
  if (certificate == nullptr || !fill(certificate.get(), draft, key, issuer) ||
      X509_sign(certificate.get(), &issuer_key, digest_for(issuer_key)) <= 0) {
    return library_failure("make a certificate");
  }
  return certificate;
}

}  // namespace weft::control::ca
