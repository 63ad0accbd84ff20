#pragma once

#include <openssl/base.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/transport/tls_config.h"

// Certificates and keys: read, checked, described. Used while contexts are built, and at handshakes for the peer's
// certificate. Any thread.

namespace weft::transport {

// The library's first queued reason as words ("no certificate or crl found"); empties its queue. "" when there is none.
std::string take_tls_reason();

// "a.pem" or "inline", as errors name it.
std::string data_source_name(const DataSource& source);
// The bytes; fails with the file's name and the system's reason.
absl::StatusOr<std::string> read_data_source(const DataSource& source);
// Has a file's bytes beside its path.
absl::Status fill(DataSource* source);
// Takes the bytes out of memory.
void wipe(DataSource* source);

// A SHA-256 of all of them, in their order; 32 bytes.
std::string content_digest(std::initializer_list<std::string_view> parts);

struct Identity {
  std::vector<bssl::UniquePtr<X509>> chain;  // Leaf first.
  bssl::UniquePtr<EVP_PKEY> key;
  std::string ocsp_staple;
  std::string name;  // Where it came from.
};
absl::StatusOr<Identity> load_identity(const TlsCertificateConfig& config);

// All certificates (or CRLs) of a PEM text; at least one.
absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> load_certificates(const DataSource& source);
absl::StatusOr<std::vector<bssl::UniquePtr<X509_CRL>>> load_crls(const DataSource& source);

struct SubjectAltNames {
  std::vector<std::string> dns, uris, emails, ips;
};
SubjectAltNames subject_alt_names(const X509* certificate);
std::string subject_text(const X509* certificate);  // RFC 2253
std::string issuer_text(const X509* certificate);   // RFC 2253
std::string common_name(const X509* certificate);   // Empty if it has none.
std::string serial_text(const X509* certificate);   // hex
std::string hex_text(std::string_view bytes);
std::string certificate_pem(const X509* certificate);
std::string certificate_sha256(const X509* certificate);  // 32 bytes
std::string public_key_sha256(const X509* certificate);   // 32 bytes, of the SubjectPublicKeyInfo
CertificateInfo certificate_info(const X509* certificate, std::string name, bool is_ca);

// Whether a certificate's DNS name, whose leftmost label may be "*", stands for `host` (RFC 6125, 6.4). Case does not
// matter.
bool dns_name_matches(std::string_view pattern, std::string_view host);

}  // namespace weft::transport
