#pragma once

#include <openssl/base.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/transport/tls_config.h"

// Judges the certificate that a peer shows: its chain to a trusted CA, revocation, pins, and names. Immutable; used by
// all workers at handshakes.

namespace weft::transport {

struct PeerVerdict {
  bool accepted = false;
  bool verified = false;  // Something was asked of it, and it holds.
  ByteStream::TlsFailure failure = ByteStream::TlsFailure::kNone;
  std::string reason;  // "certificate verify failed: unable to get local issuer certificate"
  uint8_t alert = 0;   // SSL_AD_...
};

// Who is trusted: CAs and revocation lists. Equal ones are kept once for all configurations.
struct TrustStore {
  bssl::UniquePtr<X509_STORE> store;
  std::vector<bssl::UniquePtr<X509>> trusted;
  std::string digest;  // Of what it was made of.
};

class PeerVerifier {
 public:
  // `peer_is_server`: which extended key usage is asked for.
  static absl::StatusOr<std::unique_ptr<PeerVerifier>> make(PeerValidation config, bool peer_is_server);

  // `chain`: as the peer sent it, the leaf first; may be empty. `name`: the server's, which the leaf must be for in
  // place of the configured names; empty: those.
  PeerVerdict verify(const STACK_OF(X509) * chain, std::string_view name = {}) const;

  const std::vector<bssl::UniquePtr<X509>>& trusted() const { return trust_->trusted; }
  // Where they came from: the file, or "inline".
  const std::string& trusted_name() const { return trusted_name_; }
  // False: any certificate is taken.
  bool asks_anything() const { return asks_anything_; }
  // All that the verdict depends on, so that sessions are not resumed under other demands.
  std::string fingerprint() const;

 private:
  PeerVerifier() = default;
  bool verify_chain(const STACK_OF(X509) * chain, PeerVerdict* verdict) const;
  bool pinned(const X509* leaf) const;
  bool names_match(const X509* leaf) const;

  PeerValidation config_;  // Without what is in the store.
  bool peer_is_server_ = false;
  bool has_store_ = false;
  bool asks_anything_ = false;
  std::string trusted_name_;
  std::shared_ptr<const TrustStore> trust_;
  std::vector<std::string> pinned_certificates_;  // 32 bytes each
  std::vector<std::string> pinned_keys_;
};

}  // namespace weft::transport
