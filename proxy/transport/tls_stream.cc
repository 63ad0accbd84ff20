#include "proxy/transport/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proxy/transport/tls_certificate.h"

namespace weft::transport {
namespace {

// The most that is asked of the socket at once, and that waits decrypted in no buffer of ours.
constexpr size_t kReadBytes = 64 * 1024;
// Encrypted bytes that may wait for the socket before write() takes no more.
constexpr size_t kMaxUnsentBytes = 64 * 1024;
constexpr size_t kRecordBytes = 16 * 1024;

int stream_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

// The library's view of the stream below: reads come from in_, which is filled when empty; writes are gathered in out_.
struct TlsStream::Bio {
  static const BIO_METHOD* method() {
    static const BIO_METHOD* made = [] {
      BIO_METHOD* method = BIO_meth_new(0, "weft");
      BIO_meth_set_create(method, [](BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
      });
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method,
                        [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH ? 1 : 0; });
      return method;
    }();
    return made;
  }
  static int read(BIO* bio, char* out, int size) {
    auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self->in_.empty() && !self->plain_drained_ && !self->plain_ended_ && !self->plain_failed_) {
      IoResult result = self->plain_->read(self->in_, kReadBytes);
      self->plain_drained_ = result.drained || result.state == IoResult::State::kBlocked;
      self->plain_ended_ = result.state == IoResult::State::kEnd;
      self->plain_failed_ = result.state == IoResult::State::kError;
    }
    if (self->in_.empty()) {
      if (self->plain_ended_) return 0;
      if (!self->plain_failed_) BIO_set_retry_read(bio);
      return -1;
    }
    int copied = 0;
    while (copied < size && !self->in_.empty()) {
      std::string_view piece = self->in_.front().substr(0, static_cast<size_t>(size - copied));
      std::memcpy(out + copied, piece.data(), piece.size());
      copied += static_cast<int>(piece.size());
      self->in_.drain(piece.size());
    }
    if (self->in_.empty()) self->in_.trim();
    return copied;
  }
  static int write(BIO* bio, const char* bytes, int size) {
    auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
    self->out_.append(std::string_view(bytes, static_cast<size_t>(size)));
    return size;
  }
};

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> plain, base::Buffer early)
    : context_(std::move(context)), plain_(std::move(plain)), state_(State::kHandshake), in_(std::move(early)) {
  set_up(true);
}

TlsStream::TlsStream(std::shared_ptr<const ClientTlsContext> context, std::unique_ptr<ByteStream> plain,
                     std::string session_key, ServerName server, bool is_http)
    : context_(context), plain_(std::move(plain)), session_key_(std::move(session_key)), server_(std::move(server)) {
  set_up(false);
  if (ssl_ == nullptr) return;
  if (!is_http) context->offer_stream_alpn(ssl_.get());
  bool named = server_.send && !server_.name.empty();
  if (named && Address::parse_ip(server_.name, 0).family == Address::Family::kNone) {
    SSL_set_tlsext_host_name(ssl_.get(), server_.name.c_str());
  }
  if (bssl::UniquePtr<SSL_SESSION> session = context->take_session(session_key_)) {
    SSL_set_session(ssl_.get(), session.get());
  }
  if (plain_->connected()) state_ = State::kHandshake;
}

TlsStream::~TlsStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void TlsStream::set_up(bool server) {
  ERR_clear_error();
  ssl_ = context_->new_connection();
  BIO* bio = ssl_ == nullptr ? nullptr : BIO_new(Bio::method());
  if (bio == nullptr) {
    ssl_.reset();
    error_ = "TLS: out of memory";
    error_kind_ = ErrorKind::kOther;
    return;
  }
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_ex_data(ssl_.get(), stream_index(), this);
  // The handshake's settings are freed with it; nobody may renegotiate.
  SSL_set_shed_handshake_config(ssl_.get(), 1);
  if (server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

TlsStream* TlsStream::of(const SSL* ssl) { return static_cast<TlsStream*>(SSL_get_ex_data(ssl, stream_index())); }

ssl_verify_result_t TlsStream::on_verify(SSL* ssl, uint8_t* alert) {
  TlsStream* self = of(ssl);
  PeerVerdict verdict = self->context_->verifier().verify(
      SSL_get_peer_full_cert_chain(ssl),
      self->server_.verify ? std::string_view(self->server_.name) : std::string_view());
  if (verdict.accepted) {
    self->peer_verified_ = verdict.verified;
    return ssl_verify_ok;
  }
  self->failure_ = verdict.failure;
  self->verify_error_ = std::move(verdict.reason);
  *alert = verdict.alert;
  return ssl_verify_invalid;
}

void TlsStream::attach(Events& events) {
  bool first = events_ == nullptr;
  events_ = &events;
  if (first) {
    plain_->attach(*this);
    // A client begins by speaking, a server perhaps with what was read before: neither waits for an event.
    if (state_ == State::kHandshake) plain_->read_later();
    return;
  }
  if (state_ == State::kFailed || !in_.empty() || !plain_drained_ || (ssl_ != nullptr && SSL_has_pending(ssl_.get()))) {
    plain_->read_later();
  }
}

void TlsStream::on_connected() {
  state_ = State::kHandshake;
  step_handshake();
}

void TlsStream::on_connect_failed() {
  state_ = State::kFailed;
  set_plain_error();
  events_->on_connect_failed();
}

void TlsStream::on_readable() {
  plain_drained_ = false;
  if (state_ == State::kHandshake) {
    step_handshake();
  } else if (state_ == State::kOpen) {
    events_->on_readable();
  }
}

void TlsStream::on_writable() {
  if (state_ == State::kHandshake) {
    flush();
    return;
  }
  if (state_ != State::kOpen) return;
  if (!flush()) {
    // The next write() of the owner tells it; it may wait for just that.
    write_blocked_ = false;
    events_->on_writable();
    return;
  }
  if (!out_.empty() || !write_blocked_) return;
  write_blocked_ = false;
  events_->on_writable();
}

void TlsStream::step_handshake() {
  if (ssl_ == nullptr) {
    state_ = State::kFailed;
    events_->on_connect_failed();
    return;
  }
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_.get());
  int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  bool sent = flush();
  if (result != 1) {
    if (error == SSL_ERROR_WANT_READ && sent) return;
    state_ = State::kFailed;
    if (error == SSL_ERROR_SSL) {
      set_tls_error();
    } else if (plain_failed_ || !sent) {
      set_plain_error();
    } else {
      error_kind_ = ErrorKind::kTls;
      error_ = "TLS: the peer closed the connection during the handshake";
    }
    events_->on_connect_failed();
    return;
  }
  if (!resumed_peer_holds()) {
    state_ = State::kFailed;
    set_tls_error();
    events_->on_connect_failed();
    return;
  }
  state_ = State::kOpen;
  fill_info();
  bool destroyed = false;
  destroyed_ = &destroyed;
  events_->on_connected();
  if (destroyed) return;
  destroyed_ = nullptr;
  // What came behind the handshake has no edge of its own any more.
  if (state_ == State::kOpen && (!in_.empty() || !plain_drained_)) plain_->read_later();
}

// BoringSSL asks for a verdict on the certificate in the handshake that makes a session, and not again. But a ticket
// may outlive the certificate.
bool TlsStream::resumed_peer_holds() {
  if (SSL_session_reused(ssl_.get()) != 1 || SSL_get_peer_full_cert_chain(ssl_.get()) == nullptr) return true;
  uint8_t alert = SSL_AD_CERTIFICATE_UNKNOWN;
  if (on_verify(ssl_.get(), &alert) == ssl_verify_ok) return true;
  SSL_send_fatal_alert(ssl_.get(), alert);
  flush();
  return false;
}

void TlsStream::fill_info() {
  tls_info_ = std::make_unique<TlsInfo>();
  TlsInfo& info = *tls_info_;
  SSL* ssl = ssl_.get();
  info.version = SSL_get_version(ssl);
  info.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) info.sni = name;
  info.alpn = std::string(alpn());
  info.resumed = SSL_session_reused(ssl) == 1;
  info.local_uri_sans = TlsContext::local_uri_sans(ssl);
  bssl::UniquePtr<X509> peer(SSL_get_peer_certificate(ssl));
  if (peer == nullptr) return;
  info.peer_certificate_presented = true;
  info.peer_verified = peer_verified_;
  SubjectAltNames names = subject_alt_names(peer.get());
  info.peer_uri_sans = std::move(names.uris);
  info.peer_dns_sans = std::move(names.dns);
  info.peer_subject = subject_text(peer.get());
  info.peer_issuer = issuer_text(peer.get());
  info.peer_serial = serial_text(peer.get());
  info.peer_fingerprint_sha256 = hex_text(certificate_sha256(peer.get()));
}

bool TlsStream::flush() {
  while (!out_.empty()) {
    IoResult result = plain_->write(out_);
    count_bytes();
    if (result.state == IoResult::State::kError) {
      plain_failed_ = true;
      set_plain_error();
      return false;
    }
    if (result.drained || result.state == IoResult::State::kBlocked) return true;
  }
  out_.trim();
  if (fin_due_) {
    fin_due_ = false;
    plain_->shutdown_write();
  }
  return true;
}

void TlsStream::count_bytes() {
  received_bytes_ = plain_->received_bytes();
  sent_bytes_ = plain_->sent_bytes();
}

void TlsStream::set_plain_error() {
  error_kind_ = plain_->error_kind();
  error_ = std::string(plain_->error());
}

void TlsStream::set_tls_error() {
  error_kind_ = ErrorKind::kTls;
  uint32_t first = ERR_peek_error();
  std::string reason = take_tls_reason();
  if (ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    failure_ = TlsFailure::kNoCertificate;
  }
  error_ = absl::StrCat("TLS: ", verify_error_.empty() ? reason : verify_error_);
}

size_t TlsStream::fill_room(base::Buffer& into, size_t max_bytes, int* error) {
  base::Buffer::Room room = into.reserve(std::min<size_t>(max_bytes, 1024));
  ERR_clear_error();
  int n = SSL_read(ssl_.get(), room.data, static_cast<int>(std::min(room.size, max_bytes)));
  if (n > 0) {
    into.commit(static_cast<size_t>(n));
    return static_cast<size_t>(n);
  }
  *error = SSL_get_error(ssl_.get(), n);
  if (into.empty()) into.trim();
  return 0;
}

IoResult TlsStream::read(base::Buffer& into, size_t max_bytes) {
  if (state_ != State::kOpen) {
    bool later = state_ == State::kConnecting || state_ == State::kHandshake;
    return {later ? IoResult::State::kBlocked : IoResult::State::kError, 0, true};
  }
  if (peer_ended_) return {IoResult::State::kEnd, 0, true};
  size_t total = 0;
  while (total < max_bytes) {
    int error = SSL_ERROR_NONE;
    size_t n = fill_room(into, max_bytes - total, &error);
    total += n;
    if (n != 0) continue;
    count_bytes();
    // A key update or alert may have to be answered.
    if (!out_.empty()) flush();
    if (total == 0) return read_outcome(error);
    // An end or an error is told by the next read.
    return {IoResult::State::kOk, total, error == SSL_ERROR_WANT_READ};
  }
  count_bytes();
  return {IoResult::State::kOk, total, false};
}

IoResult TlsStream::read_outcome(int error) {
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return {IoResult::State::kBlocked, 0, true};
    case SSL_ERROR_ZERO_RETURN:
      peer_ended_ = true;
      return {IoResult::State::kEnd, 0, true};
    case SSL_ERROR_SSL:
      set_tls_error();
      break;
    default:
      if (plain_failed_) {
        set_plain_error();
        break;
      }
      // RFC 8446, 6.1: without close_notify the stream may have been cut off by anybody.
      error_kind_ = ErrorKind::kTls;
      error_ = "TLS: the peer closed the connection without close_notify";
      break;
  }
  return {IoResult::State::kError, 0, true};
}

IoResult TlsStream::write(base::Buffer& from) {
  if (state_ != State::kOpen || shut_ || plain_failed_) {
    bool later = state_ == State::kConnecting || state_ == State::kHandshake;
    if (later) write_blocked_ = true;
    return {later ? IoResult::State::kBlocked : IoResult::State::kError, 0, true};
  }
  size_t total = 0;
  while (!from.empty()) {
    if (out_.size() >= kMaxUnsentBytes) {
      if (!flush()) return {IoResult::State::kError, total, true};
      if (!out_.empty()) break;
    }
    // Small pieces share a record: its cost is the same for one byte and for hundreds.
    std::string_view piece = from.front().substr(0, kRecordBytes);
    char gathered[kRecordBytes];
    if (piece.size() < kRecordBytes && piece.size() < from.size()) {
      struct iovec pieces[32];
      int count = from.pieces(pieces, 32);
      size_t size = 0;
      for (int i = 0; i < count && size < kRecordBytes; ++i) {
        size_t n = std::min(pieces[i].iov_len, kRecordBytes - size);
        std::memcpy(gathered + size, pieces[i].iov_base, n);
        size += n;
      }
      piece = std::string_view(gathered, size);
    }
    ERR_clear_error();
    int n = SSL_write(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
    if (n <= 0) {
      set_tls_error();
      return {IoResult::State::kError, total, true};
    }
    from.drain(static_cast<size_t>(n));
    total += static_cast<size_t>(n);
  }
  if (!flush()) return {IoResult::State::kError, total, true};
  bool waits = !out_.empty();
  if (waits) write_blocked_ = true;
  return {total == 0 && waits ? IoResult::State::kBlocked : IoResult::State::kOk, total, waits};
}

void TlsStream::shutdown_write() {
  if (state_ != State::kOpen || shut_) return;
  shut_ = true;
  fin_due_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  flush();
}

void TlsStream::close(CloseKind kind) {
  if (state_ == State::kClosed) return;
  if (kind == CloseKind::kGraceful && state_ == State::kOpen && !shut_ && !plain_failed_) {
    shut_ = true;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    flush();
  }
  state_ = State::kClosed;
  plain_->close(kind);
  in_.clear();
  out_.clear();
}

const ConnectionInfo& TlsStream::info() const {
  if (tls_info_ == nullptr) return plain_->info();
  if (!info_known_) {
    info_known_ = true;
    info_ = plain_->info();
    info_.tls = tls_info_.get();
  }
  return info_;
}

std::string_view TlsStream::alpn() const {
  if (ssl_ == nullptr) return {};
  const uint8_t* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  return {reinterpret_cast<const char*>(protocol), size};
}

std::string TlsStream::peer_certificates_pem(bool all) const {
  const STACK_OF(X509)* chain = ssl_ == nullptr ? nullptr : SSL_get_peer_full_cert_chain(ssl_.get());
  std::string pem;
  for (size_t i = 0; chain != nullptr && i < (all ? sk_X509_num(chain) : std::min<size_t>(sk_X509_num(chain), 1));
       ++i) {
    pem += certificate_pem(sk_X509_value(chain, i));
  }
  return pem;
}

namespace {

class BoringServerTls final : public ServerTls {
 public:
  explicit BoringServerTls(std::shared_ptr<const ServerTlsContext> context) : context_(std::move(context)) {}
  std::unique_ptr<ByteStream> accept(std::unique_ptr<ByteStream> plain, base::Buffer early) const override {
    return std::make_unique<TlsStream>(std::shared_ptr<const TlsContext>(context_), std::move(plain), std::move(early));
  }
  std::vector<CertificateInfo> certificates() const override { return context_->certificates(); }

 private:
  std::shared_ptr<const ServerTlsContext> context_;
};

class TlsConnector final : public Connector {
 public:
  TlsConnector(std::shared_ptr<const ClientTlsContext> context, SocketOptions options)
      : context_(std::move(context)), plain_(make_plain_connector(std::move(options))) {}
  std::unique_ptr<ByteStream> connect(event::Loop& loop, const Address& to) override {
    return std::make_unique<TlsStream>(context_, plain_->connect(loop, to), to.to_string());
  }
  std::unique_ptr<ByteStream> connect_stream(event::Loop& loop, const Address& to) override {
    return std::make_unique<TlsStream>(context_, plain_->connect(loop, to), to.to_string(), ServerName(), false);
  }
  std::unique_ptr<ByteStream> connect_to(event::Loop& loop, const Address& to, const ServerName& server) override {
    // A session is resumed only with the server that was verified by that name.
    std::string session_key = absl::StrCat(to.to_string(), "|", server.send, server.verify, server.name);
    return std::make_unique<TlsStream>(context_, plain_->connect(loop, to), std::move(session_key), server);
  }
  std::vector<CertificateInfo> certificates() const override { return context_->certificates(); }

 private:
  std::shared_ptr<const ClientTlsContext> context_;
  std::shared_ptr<Connector> plain_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const ServerTls>> make_server_tls(ServerTlsConfig config) {
  auto context = ServerTlsContext::make(std::move(config));
  if (!context.ok()) return context.status();
  return std::shared_ptr<const ServerTls>(std::make_shared<BoringServerTls>(*std::move(context)));
}

absl::StatusOr<std::shared_ptr<Connector>> make_tls_connector(ClientTlsConfig config, SocketOptions options) {
  auto context = ClientTlsContext::make(std::move(config));
  if (!context.ok()) return context.status();
  return std::shared_ptr<Connector>(std::make_shared<TlsConnector>(*std::move(context), std::move(options)));
}

}  // namespace weft::transport
