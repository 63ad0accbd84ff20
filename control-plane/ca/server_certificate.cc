#include "control-plane/ca/server_certificate.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/ca/files.h"
#include "control-plane/ca/x509.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

namespace {

constexpr int64_t kMsPerDay = 86'400'000;
constexpr int64_t kValidMs = 3650 * kMsPerDay;
// Clocks differ.
constexpr int64_t kEarlierMs = 3'600'000;
constexpr char kName[] = "weft-control";

// The paths name the files in messages.
absl::StatusOr<ServerCertificate> check(std::string certificate_pem, std::string key_pem,
                                        const std::string& certificate_path, const std::string& key_path) {
  const absl::StatusOr<std::vector<Certificate>> chain = read_certificates_pem(certificate_pem, certificate_path);
  if (!chain.ok()) return chain.status();
  const X509& leaf = *chain->front();
  const absl::StatusOr<Key> key = read_key_pem(key_pem, key_path);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(&leaf, key->get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(key_path, ": is not the key of ", certificate_path));
  }
  const absl::StatusOr<Digest> fingerprint = fingerprint_of(leaf);
  if (!fingerprint.ok()) return fingerprint.status();
  return ServerCertificate{std::move(certificate_pem), std::move(key_pem), *fingerprint};
}

absl::StatusOr<std::pair<std::string, std::string>> make(const std::vector<std::string>& names, int64_t now_ms) {
  std::string alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& each : names) {
    if (registry::is_ip(each)) {
      absl::StrAppend(&alternatives, ",IP:", each);
    } else if (registry::is_dns_name(each) && each != "localhost") {
      absl::StrAppend(&alternatives, ",DNS:", each);
    }
  }
  const absl::StatusOr<Key> key = make_key();
  if (!key.ok()) return key.status();
  const CertificateDraft draft{.subject = {{NID_commonName, kName}},
                               .not_before_ms = now_ms - kEarlierMs,
                               .not_after_ms = now_ms + kValidMs,
                               .extensions = {{NID_subject_alt_name, alternatives},
                                              {NID_key_usage, "critical,digitalSignature"},
                                              {NID_ext_key_usage, "serverAuth"},
                                              {NID_basic_constraints, "critical,CA:FALSE"}}};
  const absl::StatusOr<Certificate> certificate = make_certificate(draft, **key, nullptr, **key);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> certificate_text = to_pem(**certificate);
  if (!certificate_text.ok()) return certificate_text.status();
  absl::StatusOr<std::string> key_text = to_pem(**key);
  if (!key_text.ok()) return key_text.status();
  return std::pair(*std::move(certificate_text), *std::move(key_text));
}

}  // namespace

absl::StatusOr<ServerCertificate> load_certificate(const std::string& certificate_path, const std::string& key_path) {
  absl::StatusOr<std::string> certificate = read_file(certificate_path);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> key = read_file(key_path);
  if (!key.ok()) return key.status();
  return check(*std::move(certificate), *std::move(key), certificate_path, key_path);
}

absl::StatusOr<ServerCertificate> make_certificate(const std::vector<std::string>& names, int64_t now_ms) {
  absl::StatusOr<std::pair<std::string, std::string>> made = make(names, now_ms);
  if (!made.ok()) return made.status();
  return check(std::move(made->first), std::move(made->second), "the certificate", "its key");
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
  if (absl::Status status = write_private_file(key_path, made->second); !status.ok()) return status;
  if (absl::Status status = write_private_file(certificate_path, made->first); !status.ok()) return status;
  return check(std::move(made->first), std::move(made->second), certificate_path, key_path);
}

}  // namespace weft::control::ca
