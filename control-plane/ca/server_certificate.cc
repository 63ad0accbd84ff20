#include "control-plane/ca/server_certificate.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

namespace {

constexpr int64_t kValidDays = 3650;
constexpr int64_t kSecondsPerDay = 86'400;
// Clocks differ.
constexpr int64_t kEarlierSeconds = 3600;
constexpr int kSerialBits = 127;
constexpr char kCurve[] = "P-256";
constexpr char kName[] = "weft-control";

template <auto Free>
struct Freed {
  template <typename Type>
  void operator()(Type* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;

std::string library_error() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown" : reason;
}

absl::Status failed(std::string_view doing) {
  return absl::InternalError(absl::StrCat("cannot ", std::string(doing), ": ", library_error()));
}

absl::StatusOr<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read: ", strerror(errno)));
  }
  return text;
}

// For the owner only, and never half.
absl::Status write(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written =
      file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const int error = errno;
  if (file >= 0) close(file);
  if (!is_written) return absl::UnavailableError(absl::StrCat(beside, ": cannot be written: ", strerror(error)));
  if (rename(beside.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written: ", strerror(errno)));
  }
  return absl::OkStatus();
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

absl::StatusOr<Digest> fingerprint_of(const X509* certificate) {
  Digest digest;
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1 || size != digest.size()) {
    return failed("digest the certificate");
  }
  return digest;
}

// A passphrase cannot be asked for.
int no_passphrase(char*, int, int, void*) { return -1; }

// `where` names the files in messages.
absl::StatusOr<ServerCertificate> check(std::string certificate_pem, std::string key_pem,
                                        const std::string& certificate_path, const std::string& key_path) {
  const Bio certificate_text(BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const Certificate certificate(PEM_read_bio_X509(certificate_text.get(), nullptr, no_passphrase, nullptr));
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(certificate_path, ": expected a certificate in PEM: ", library_error()));
  }
  const Bio key_text(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const Key key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(key_path, ": expected a private key in PEM without a passphrase: ", library_error()));
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(key_path, ": is not the key of ", certificate_path));
  }
  const absl::StatusOr<Digest> fingerprint = fingerprint_of(certificate.get());
  if (!fingerprint.ok()) return fingerprint.status();
  return ServerCertificate{std::move(certificate_pem), std::move(key_pem), *fingerprint};
}

bool add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill(X509* certificate, EVP_PKEY* key, const std::string& alternatives, int64_t now_s) {
  const Number serial(BN_new());
  X509_NAME* name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), now_s - kEarlierSeconds) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), now_s + kValidDays * kSecondsPerDay) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(kName), -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_subject_alt_name, alternatives) &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

absl::StatusOr<std::pair<std::string, std::string>> make(const std::vector<std::string>& names, int64_t now_ms) {
  const Key key(EVP_EC_gen(kCurve));
  const Certificate certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return failed("make a key");
  std::string alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& each : names) {
    if (registry::is_ip(each)) {
      absl::StrAppend(&alternatives, ",IP:", each);
    } else if (registry::is_dns_name(each) && each != "localhost") {
      absl::StrAppend(&alternatives, ",DNS:", each);
    }
  }
  if (!fill(certificate.get(), key.get(), alternatives, now_ms / 1000)) return failed("make a certificate");
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  const bool is_written =
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) == 1 &&
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (!is_written) return failed("write a certificate");
  return std::pair(text_of(certificate_text.get()), text_of(key_text.get()));
}

}  // namespace

absl::StatusOr<ServerCertificate> load_certificate(const std::string& certificate_path, const std::string& key_path) {
  absl::StatusOr<std::string> certificate = read(certificate_path);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> key = read(key_path);
  if (!key.ok()) return key.status();
  return check(*std::move(certificate), *std::move(key), certificate_path, key_path);
}

absl::StatusOr<ServerCertificate> load_or_make_certificate(const std::string& folder,
                                                           const std::vector<std::string>& names, int64_t now_ms) {
  const std::string certificate_path = folder + "/xds.crt";
  const std::string key_path = folder + "/xds.key";
  std::error_code error;
  // The certificate is written last: where it is, the key is.
  if (std::filesystem::exists(certificate_path, error)) return load_certificate(certificate_path, key_path);
  absl::StatusOr<std::pair<std::string, std::string>> made = make(names, now_ms);
  if (!made.ok()) return made.status();
  if (absl::Status status = write(key_path, made->second); !status.ok()) return status;
  if (absl::Status status = write(certificate_path, made->first); !status.ok()) return status;
  return check(std::move(made->first), std::move(made->second), certificate_path, key_path);
}

}  // namespace weft::control::ca
