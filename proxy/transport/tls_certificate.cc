#include "proxy/transport/tls_certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs8.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft::transport {
namespace {

// A certificate file that is larger is a mistake.
constexpr size_t kMaxFileBytes = 16 * 1024 * 1024;

absl::Status error_with_reason(const std::string& what) {
  std::string reason = take_tls_reason();
  return absl::InvalidArgumentError(reason.empty() ? what : absl::StrCat(what, ": ", reason));
}

bssl::UniquePtr<BIO> memory(const std::string& bytes) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(bytes.data(), static_cast<ptrdiff_t>(bytes.size())));
}

// PEM's way to ask for a password; without one an encrypted key fails instead of asking on the terminal.
int give_password(char* out, int size, int, void* context) {
  const auto* password = static_cast<const std::string*>(context);
  if (password == nullptr || password->size() > static_cast<size_t>(size)) return -1;
  std::memcpy(out, password->data(), password->size());
  return static_cast<int>(password->size());
}

// True at the end of a PEM text, when "no start line" only says that nothing more follows.
bool at_end_of_pem() {
  uint32_t error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> parse_certificates(const std::string& pem, const std::string& name) {
  ERR_clear_error();
  std::vector<bssl::UniquePtr<X509>> certificates;
  bssl::UniquePtr<BIO> bio = memory(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  if (!at_end_of_pem()) return error_with_reason(absl::StrCat(name, ": a certificate cannot be read"));
  if (certificates.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ": holds no PEM certificate"));
  return certificates;
}

absl::Status load_pkcs12(const TlsCertificateConfig& config, const std::string* password, Identity* identity) {
  identity->name = data_source_name(config.pkcs12);
  absl::StatusOr<std::string> bytes = read_data_source(config.pkcs12);
  if (!bytes.ok()) return bytes.status();
  CBS cbs;
  CBS_init(&cbs, reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size());
  EVP_PKEY* key = nullptr;
  bssl::UniquePtr<STACK_OF(X509)> certificates(sk_X509_new_null());
  ERR_clear_error();
  if (PKCS12_get_key_and_certs(&key, certificates.get(), &cbs, password == nullptr ? nullptr : password->c_str()) !=
      1) {
    return error_with_reason(absl::StrCat(identity->name, ": the PKCS #12 bundle cannot be read"));
  }
  identity->key.reset(key);
  // The leaf may stand anywhere; it is the one whose key this is.
  for (size_t i = 0; i < sk_X509_num(certificates.get()); ++i) {
    bssl::UniquePtr<X509> certificate = bssl::UpRef(sk_X509_value(certificates.get(), i));
    bool leaf = key != nullptr && X509_check_private_key(certificate.get(), key) == 1;
    identity->chain.insert(leaf ? identity->chain.begin() : identity->chain.end(), std::move(certificate));
  }
  ERR_clear_error();
  if (identity->chain.empty() || key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(identity->name, ": holds no certificate with its key"));
  }
  return absl::OkStatus();
}

absl::Status load_pem(const TlsCertificateConfig& config, std::string* password, Identity* identity) {
  identity->name = data_source_name(config.chain);
  absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> chain = load_certificates(config.chain);
  if (!chain.ok()) return chain.status();
  identity->chain = *std::move(chain);
  std::string key_name = data_source_name(config.private_key);
  if (!config.private_key.present()) {
    return absl::InvalidArgumentError(absl::StrCat(identity->name, ": this certificate is given no private key"));
  }
  absl::StatusOr<std::string> bytes = read_data_source(config.private_key);
  if (!bytes.ok()) return bytes.status();
  ERR_clear_error();
  identity->key.reset(PEM_read_bio_PrivateKey(memory(*bytes).get(), nullptr, give_password, password));
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if (identity->key == nullptr) {
    return error_with_reason(absl::StrCat(
        key_name, password == nullptr ? ": the private key cannot be read (is it encrypted, and no password given?)"
                                      : ": the private key cannot be read with the given password"));
  }
  if (X509_check_private_key(identity->chain[0].get(), identity->key.get()) != 1) {
    return error_with_reason(
        absl::StrCat(key_name, ": this is not the private key of the certificate in ", identity->name));
  }
  return absl::OkStatus();
}

std::string name_text(const X509_NAME* name) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &bytes, &size);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

int64_t posix_seconds(const ASN1_TIME* time) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return int64_t{days} * 86'400 + seconds;
}

}  // namespace

std::string take_tls_reason() {
  uint32_t error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return {};
  if (ERR_GET_LIB(error) == ERR_LIB_SYS) return strerrordesc_np(ERR_GET_REASON(error));
  const char* reason = ERR_reason_error_string(error);
  std::string text = reason == nullptr ? absl::StrCat("error ", absl::Hex(error)) : absl::AsciiStrToLower(reason);
  for (char& c : text) {
    if (c == '_') c = ' ';
  }
  return text;
}

std::string data_source_name(const DataSource& source) { return source.path.empty() ? "inline" : source.path; }

absl::StatusOr<std::string> read_data_source(const DataSource& source) {
  if (source.path.empty() || !source.bytes.empty()) return source.bytes;
  std::FILE* file = std::fopen(source.path.c_str(), "rbe");
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat(source.path, ": cannot be opened: ", strerrordesc_np(errno)));
  }
  std::string bytes;
  char piece[16 * 1024];
  size_t n;
  while ((n = std::fread(piece, 1, sizeof(piece), file)) > 0 && bytes.size() <= kMaxFileBytes) bytes.append(piece, n);
  bool failed = std::ferror(file) != 0;
  int error = errno;
  std::fclose(file);
  OPENSSL_cleanse(piece, sizeof(piece));
  if (failed) return absl::UnavailableError(absl::StrCat(source.path, ": cannot be read: ", strerrordesc_np(error)));
  if (bytes.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(source.path, ": is larger than 16 MiB"));
  }
  return bytes;
}

absl::StatusOr<Identity> load_identity(const TlsCertificateConfig& config) {
  std::string password;
  if (config.password.present()) {
    absl::StatusOr<std::string> text = read_data_source(config.password);
    if (!text.ok()) return text.status();
    // A file of one line ends with a line feed that is no part of the password.
    password = std::string(absl::StripTrailingAsciiWhitespace(*text));
  }
  std::string* given = config.password.present() ? &password : nullptr;
  Identity identity;
  absl::Status status =
      config.pkcs12.present() ? load_pkcs12(config, given, &identity) : load_pem(config, given, &identity);
  OPENSSL_cleanse(password.data(), password.size());
  if (!status.ok()) return status;
  if (config.ocsp_staple.present()) {
    absl::StatusOr<std::string> staple = read_data_source(config.ocsp_staple);
    if (!staple.ok()) return staple.status();
    identity.ocsp_staple = *std::move(staple);
  }
  return identity;
}

absl::Status fill(DataSource* source) {
  absl::StatusOr<std::string> bytes = read_data_source(*source);
  if (bytes.ok()) source->bytes = *std::move(bytes);
  return bytes.status();
}

void wipe(DataSource* source) {
  OPENSSL_cleanse(source->bytes.data(), source->bytes.size());
  source->bytes.clear();
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> load_certificates(const DataSource& source) {
  absl::StatusOr<std::string> pem = read_data_source(source);
  if (!pem.ok()) return pem.status();
  return parse_certificates(*pem, data_source_name(source));
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509_CRL>>> load_crls(const DataSource& source) {
  absl::StatusOr<std::string> pem = read_data_source(source);
  if (!pem.ok()) return pem.status();
  ERR_clear_error();
  std::vector<bssl::UniquePtr<X509_CRL>> crls;
  bssl::UniquePtr<BIO> bio = memory(*pem);
  while (X509_CRL* crl = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) crls.emplace_back(crl);
  std::string name = data_source_name(source);
  if (!at_end_of_pem()) return error_with_reason(absl::StrCat(name, ": a revocation list cannot be read"));
  if (crls.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ": holds no PEM revocation list"));
  return crls;
}

std::string content_digest(std::initializer_list<std::string_view> parts) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (std::string_view part : parts) {
    uint64_t size = part.size();
    SHA256_Update(&context, &size, sizeof(size));
    SHA256_Update(&context, part.data(), part.size());
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256_Final(reinterpret_cast<uint8_t*>(digest.data()), &context);
  return digest;
}

SubjectAltNames subject_alt_names(const X509* certificate) {
  SubjectAltNames names;
  bssl::UniquePtr<GENERAL_NAMES> general(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (general == nullptr) return names;
  for (size_t i = 0; i < sk_GENERAL_NAME_num(general.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(general.get(), i);
    if (name->type == GEN_IPADD) {
      const ASN1_OCTET_STRING* ip = name->d.iPAddress;
      char text[INET6_ADDRSTRLEN];
      int family = ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6;
      if (ASN1_STRING_length(ip) != 4 && ASN1_STRING_length(ip) != 16) continue;
      if (inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof(text)) != nullptr) names.ips.emplace_back(text);
      continue;
    }
    if (name->type != GEN_DNS && name->type != GEN_URI && name->type != GEN_EMAIL) continue;
    const ASN1_IA5STRING* value = name->d.ia5;
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<size_t>(ASN1_STRING_length(value)));
    // A name cut short by a NUL was a way to pass for another.
    if (text.find('\0') != std::string::npos) continue;
    auto& list = name->type == GEN_DNS ? names.dns : name->type == GEN_URI ? names.uris : names.emails;
    list.push_back(std::move(text));
  }
  return names;
}

std::string subject_text(const X509* certificate) { return name_text(X509_get_subject_name(certificate)); }
std::string issuer_text(const X509* certificate) { return name_text(X509_get_issuer_name(certificate)); }

std::string common_name(const X509* certificate) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

std::string serial_text(const X509* certificate) {
  bssl::UniquePtr<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (number == nullptr) return {};
  char* hex = BN_bn2hex(number.get());
  std::string text = hex == nullptr ? std::string() : absl::AsciiStrToLower(hex);
  OPENSSL_free(hex);
  return text;
}

std::string hex_text(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

std::string certificate_sha256(const X509* certificate) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  unsigned int size = sizeof(digest);
  X509_digest(certificate, EVP_sha256(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), sizeof(digest));
}

std::string public_key_sha256(const X509* certificate) {
  uint8_t* der = nullptr;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  uint8_t digest[SHA256_DIGEST_LENGTH] = {};
  if (size > 0) SHA256(der, static_cast<size_t>(size), digest);
  OPENSSL_free(der);
  return std::string(reinterpret_cast<char*>(digest), sizeof(digest));
}

std::string certificate_pem(const X509* certificate) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), const_cast<X509*>(certificate));
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &bytes, &size);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

CertificateInfo certificate_info(const X509* certificate, std::string name, bool is_ca) {
  CertificateInfo info;
  info.path = std::move(name);
  info.serial = serial_text(certificate);
  info.subject = subject_text(certificate);
  SubjectAltNames names = subject_alt_names(certificate);
  info.dns_sans = std::move(names.dns);
  info.uri_sans = std::move(names.uris);
  info.ip_sans = std::move(names.ips);
  info.not_before_s = posix_seconds(X509_get0_notBefore(certificate));
  info.not_after_s = posix_seconds(X509_get0_notAfter(certificate));
  info.is_ca = is_ca;
  return info;
}

bool dns_name_matches(std::string_view pattern, std::string_view host) {
  auto same = [](std::string_view a, std::string_view b) {
    return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()), absl::string_view(b.data(), b.size()));
  };
  if (!pattern.starts_with("*.")) return !pattern.empty() && same(pattern, host);
  size_t dot = host.find('.');
  // The star stands for one whole, non-empty label, and not for one right below the root.
  if (dot == std::string_view::npos || dot == 0 || pattern.find('.', 2) == std::string_view::npos) return false;
  return same(pattern.substr(1), host.substr(dot));
}

}  // namespace weft::transport
