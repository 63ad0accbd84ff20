#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "proxy/transport/tls_certificate.h"
#include "proxy/transport/tls_config.h"
#include "proxy/transport/tls_verifier.h"

// What TlsStream needs of a configuration: the library's contexts, the verifier, and the sessions that a client may
// resume. Immutable but for the sessions; shared by all workers.

namespace weft::transport {

class TlsContext {
 public:
  virtual ~TlsContext() = default;
  const PeerVerifier& verifier() const { return *verifier_; }
  // A connection's state of the library, not yet told to be client or server; nullptr when out of memory.
  virtual bssl::UniquePtr<SSL> new_connection() const = 0;
  virtual std::vector<CertificateInfo> certificates() const = 0;
  // As check_tls().
  static absl::Status check(const TlsParameters& parameters, const std::vector<TlsCertificateConfig>& certificates,
                            const PeerValidation& validation, const std::vector<std::string>& alpn);
  // The URI names of the certificate that this connection showed.
  static const std::vector<std::string>& local_uri_sans(const SSL* ssl);

 protected:
  // One of our certificates, with the library's context that shows it.
  struct Entry {
    bssl::UniquePtr<SSL_CTX> context;
    Identity identity;
    SubjectAltNames names;
    bool ecdsa = false;
    int ecdsa_curve = 0;  // NID
  };
  // A context with all that certificates do not change.
  static absl::StatusOr<bssl::UniquePtr<SSL_CTX>> new_context(const TlsParameters& parameters);
  static absl::Status show_identity(Entry* entry);
  static void describe(const Entry& entry, std::vector<CertificateInfo>* out);
  void describe_trusted(std::vector<CertificateInfo>* out) const;

  std::unique_ptr<PeerVerifier> verifier_;
};

class ServerTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ServerTlsContext>> make(ServerTlsConfig config);
  bssl::UniquePtr<SSL> new_connection() const override;
  std::vector<CertificateInfo> certificates() const override;

 private:
  absl::Status add_certificate(const TlsCertificateConfig& certificate);
  absl::Status configure(SSL_CTX* context);
  absl::Status load_ticket_keys();
  const Entry& choose(const SSL_CLIENT_HELLO* hello) const;
  static ssl_select_cert_result_t on_client_hello(const SSL_CLIENT_HELLO* hello);
  static int on_alpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* offered, unsigned offered_size,
                     void* self);
  static int on_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac, int encrypt);

  ServerTlsConfig config_;
  std::vector<Entry> entries_;
  // By name ("a.example.com", "*.example.com"), entries in configured order.
  absl::flat_hash_map<std::string, std::vector<size_t>> by_name_;
  std::vector<std::string> ticket_keys_;
  std::string session_scope_;
};

class ClientTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ClientTlsContext>> make(ClientTlsConfig config);
  bssl::UniquePtr<SSL> new_connection() const override;
  std::vector<CertificateInfo> certificates() const override;
  // Of a connection that is not HTTP.
  void offer_stream_alpn(SSL* ssl) const;
  // Sessions by the address they were made with.
  bssl::UniquePtr<SSL_SESSION> take_session(const std::string& address) const;
  void keep_session(const std::string& address, bssl::UniquePtr<SSL_SESSION> session) const;

 private:
  static absl::StatusOr<std::shared_ptr<Entry>> make_entry(const ClientTlsConfig& config, bool keeps_sessions);
  // A mesh has as many clients as services, which differ in whom they expect alone.
  static absl::StatusOr<std::shared_ptr<const Entry>> shared_entry(ClientTlsConfig* config);

  ClientTlsConfig config_;
  std::shared_ptr<const Entry> entry_;
  mutable std::mutex mutex_;  // Taken once or twice a handshake.
  mutable absl::flat_hash_map<std::string, std::vector<bssl::UniquePtr<SSL_SESSION>>> sessions_;  // By mutex_.
};

}  // namespace weft::transport
