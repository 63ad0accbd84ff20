#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/transport/byte_stream.h"
#include "proxy/transport/server_tls.h"
#include "proxy/transport/socket_options.h"

// What a configuration may say of TLS, in plain C++, and the contexts made from it. Building reads files and checks all
// keys and certificates; what it returns is immutable and shared by all workers.

namespace weft::transport {

// A file, or bytes in place; both empty: absent. With both the bytes are what the file held.
struct DataSource {
  std::string path;
  std::string bytes;
  bool present() const { return !path.empty() || !bytes.empty(); }
};

// A certificate chain (PEM, leaf first) and its key (PEM, perhaps encrypted with `password`), or both as PKCS #12.
struct TlsCertificateConfig {
  DataSource chain;
  DataSource private_key;
  DataSource pkcs12;
  DataSource password;
  DataSource ocsp_staple;  // DER
};

enum class TlsVersion : uint8_t { kAuto, kTls10, kTls11, kTls12, kTls13 };

struct TlsParameters {
  TlsVersion min = TlsVersion::kAuto;  // kAuto: TLS 1.2.
  TlsVersion max = TlsVersion::kAuto;  // kAuto: TLS 1.3.
  // In the library's words, for TLS 1.2 and before: "ECDHE-RSA-AES128-GCM-SHA256", "[A|B]" for equal preference. Empty:
  // ECDHE with AES-GCM or ChaCha20-Poly1305.
  std::vector<std::string> cipher_suites;
  std::vector<std::string> ecdh_curves;           // "X25519", "P-256", "P-384"; empty: X25519, P-256.
  std::vector<std::string> signature_algorithms;  // "ecdsa_secp256r1_sha256"; empty: the library's.
};

struct SanMatcher {
  enum class Type : uint8_t { kDns, kUri, kEmail, kIpAddress, kAny };
  Type type = Type::kAny;
  // IP addresses are given as text. For kDns with `exact_dns` set it is not called: the name is compared as RFC 6125
  // says, a wildcard in the certificate's leftmost label included.
  std::function<bool(std::string_view)> matches;
  std::string exact_dns;
  std::string description;  // For error texts: "exact spiffe://a/b".
};

// What is asked of the peer's certificate. With no trusted CA and no pins, nothing is verified.
struct PeerValidation {
  DataSource trusted_ca;  // PEM, any number.
  bool system_trusted_ca = false;
  DataSource crl;  // PEM, any number.
  bool only_verify_leaf_crl = false;
  std::vector<std::string> certificate_spki;    // base64 SHA-256 of the leaf's public key; any of them.
  std::vector<std::string> certificate_hashes;  // hex SHA-256 of the leaf, colons allowed; any of them.
  std::vector<SanMatcher> san_matchers;         // Any of them must match a SAN of the leaf.
  bool allow_expired = false;
  bool accept_untrusted = false;  // The chain may be wrong; TlsInfo::peer_verified tells.
  uint32_t max_verify_depth = 100;
  bool present() const {
    return trusted_ca.present() || system_trusted_ca || !certificate_spki.empty() || !certificate_hashes.empty();
  }
};

struct ServerTlsConfig {
  TlsParameters parameters;
  std::vector<TlsCertificateConfig> certificates;  // Chosen by SNI among their DNS SANs, and by RSA or ECDSA.
  PeerValidation validation;
  bool require_client_certificate = false;
  std::vector<std::string> alpn;  // In the server's order of preference.
  bool full_scan_on_sni_mismatch = false;
  bool stateless_resumption = true;  // Tickets.
  bool stateful_resumption = true;   // Session ids of TLS 1.2; each worker process has one cache.
  // 80 bytes each, the first encrypts; all decrypt. Empty: the library's own, rotated by itself.
  std::vector<DataSource> ticket_keys;
  uint32_t session_timeout_s = 0;  // 0: the library's.
  bool prefer_client_ciphers = false;
};

struct ClientTlsConfig {
  TlsParameters parameters;
  TlsCertificateConfig certificate;  // Absent: we show none.
  PeerValidation validation;
  std::string sni;  // Empty: none is sent.
  // The certificate must have a DNS SAN that matches `sni`, in place of validation.san_matchers.
  bool auto_sni_san_validation = false;
  std::vector<std::string> alpn;
  std::vector<std::string> stream_alpn;  // In its place for connections that are not HTTP; empty: the same.
  uint32_t max_session_keys = 1;         // Sessions kept for resumption, for each address; 0: none.
};

// Checks what does not depend on secrets that are yet to come: parameters, and the certificates, keys and CAs that are
// there. Errors as below.
absl::Status check_tls(const TlsParameters& parameters, const std::vector<TlsCertificateConfig>& certificates,
                       const PeerValidation& validation, const std::vector<std::string>& alpn);

// Errors name the file (or "inline") and the library's reason.
absl::StatusOr<std::shared_ptr<const ServerTls>> make_server_tls(ServerTlsConfig config);
absl::StatusOr<std::shared_ptr<Connector>> make_tls_connector(ClientTlsConfig config, SocketOptions options);

}  // namespace weft::transport
