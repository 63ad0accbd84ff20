#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "proxy/base/buffer.h"
#include "proxy/transport/byte_stream.h"
#include "proxy/transport/tls_context.h"

// A ByteStream that is TLS over another one. What the socket has is read in large pieces and decrypted record by
// record; records are gathered and written together. An idle connection holds no buffer.

namespace weft::transport {

class TlsStream final : public ByteStream, private ByteStream::Events {
 public:
  // Server side: `plain` is connected, `early` came from it already.
  TlsStream(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> plain, base::Buffer early);
  // Client side: `plain` is being connected; `session_key` names the sessions that may be resumed.
  TlsStream(std::shared_ptr<const ClientTlsContext> context, std::unique_ptr<ByteStream> plain, std::string session_key,
            ServerName server = {}, bool is_http = true);
  ~TlsStream() override;

  void attach(Events& events) override;
  bool connected() const override { return state_ == State::kOpen; }
  IoResult read(base::Buffer& into, size_t max_bytes) override;
  IoResult write(base::Buffer& from) override;
  size_t unsent_bytes() const override { return out_.size(); }
  void read_later() override { plain_->read_later(); }
  void shutdown_write() override;
  void close(CloseKind kind) override;
  const ConnectionInfo& info() const override;
  std::string_view alpn() const override;
  std::string peer_certificates_pem(bool all) const override;
  ErrorKind error_kind() const override { return error_kind_; }
  std::string_view error() const override { return error_; }
  TlsFailure tls_failure() const override { return failure_; }

  // For the library's callbacks.
  static TlsStream* of(const SSL* ssl);
  static ssl_verify_result_t on_verify(SSL* ssl, uint8_t* alert);
  const TlsContext& context() const { return *context_; }
  const std::string& session_key() const { return session_key_; }

 private:
  enum class State : uint8_t { kConnecting, kHandshake, kOpen, kFailed, kClosed };
  struct Bio;
  void set_up(bool server);
  // Events of the stream below.
  void on_connected() override;
  void on_readable() override;
  void on_writable() override;
  void on_connect_failed() override;

  void step_handshake();
  // False: the session was made by a certificate that is not taken any more.
  bool resumed_peer_holds();
  void fill_info();
  // Gives gathered records to the stream below; false when it failed.
  bool flush();
  void set_plain_error();
  void set_tls_error();
  // What SSL_read() said when it gave nothing.
  IoResult read_outcome(int error);
  size_t fill_room(base::Buffer& into, size_t max_bytes, int* error);
  void count_bytes();

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<ByteStream> plain_;
  bssl::UniquePtr<SSL> ssl_;
  std::string session_key_;
  ServerName server_;
  Events* events_ = nullptr;
  State state_ = State::kConnecting;
  base::Buffer in_;   // From the socket, not yet decrypted.
  base::Buffer out_;  // Records for the socket.
  bool plain_drained_ = false;
  bool plain_ended_ = false;
  bool plain_failed_ = false;
  bool peer_ended_ = false;     // close_notify came.
  bool write_blocked_ = false;  // The owner waits for on_writable().
  bool shut_ = false;           // close_notify is among what was written.
  bool fin_due_ = false;        // FIN follows when all records went.
  bool peer_verified_ = false;
  ErrorKind error_kind_ = ErrorKind::kNone;
  TlsFailure failure_ = TlsFailure::kNone;
  bool* destroyed_ = nullptr;
  std::string error_;
  std::string verify_error_;
  std::unique_ptr<TlsInfo> tls_info_;
  mutable bool info_known_ = false;
  mutable ConnectionInfo info_;
};

}  // namespace weft::transport
