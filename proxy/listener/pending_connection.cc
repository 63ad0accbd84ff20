#include "proxy/listener/pending_connection.h"

#include <algorithm>
#include <string_view>

#include "proxy/listener/client_hello.h"
#include "proxy/listener/http_detection.h"
#include "proxy/listener/proxy_protocol.h"

namespace weft::listener {
namespace {

// Enough for every header that the filters parse.
constexpr size_t kMaxEarlyBytes = std::max(kMaxClientHelloBytes, kMaxProxyHeaderBytes);
// A client that speaks first mostly has by then, and then its upstream is not connected to for nothing.
constexpr int64_t kHeadStartMs = 5;

}  // namespace

PendingConnection::PendingConnection(Acceptor& acceptor, std::unique_ptr<transport::PlainStream> plain,
                                     snapshot::ConnectionTicket ticket)
    : acceptor_(acceptor),
      plain_(std::move(plain)),
      ticket_(std::move(ticket)),
      timer_(acceptor.loop_.timers(), base::bind<&PendingConnection::on_timeout>(this)),
      head_start_(acceptor.loop_.timers(), base::bind<&PendingConnection::on_head_start_over>(this)) {
  acceptor_.pending_.push_back(*this);
  ++acceptor_.pending_count_;
}

PendingConnection::~PendingConnection() {
  if (step_ != Step::kDone) --acceptor_.pending_count_;
  if (inspecting_) acceptor_.stats_.downstream_pre_cx_active.subtract();
}

void PendingConnection::inspect() {
  const snapshot::Listener& listener = acceptor_.listener();
  step_ = acceptor_.needs_proxy_header_ ? Step::kProxyHeader : Step::kFirstBytes;
  inspecting_ = true;
  inspect_tls_ = acceptor_.inspects_tls(plain_->info().local);
  inspect_http_ = acceptor_.inspects_http(plain_->info().local);
  acceptor_.stats_.downstream_pre_cx_active.add();
  if (listener.listener_filters_timeout_ms > 0) timer_.arm(listener.listener_filters_timeout_ms);
  if (listener.continue_on_listener_filters_timeout && step_ == Step::kFirstBytes) head_start_.arm(kHeadStartMs);
  plain_->attach(*this);
}

void PendingConnection::on_readable() {
  if (!inspecting_) return;
  for (;;) {
    // Never more than the parsers look at: the rest stays in the kernel for the one who serves the connection.
    transport::IoResult result = plain_->read(early_, kMaxEarlyBytes - early_.size());
    if (advance()) return;
    if (result.state == transport::IoResult::State::kEnd || result.state == transport::IoResult::State::kError) {
      acceptor_.stats_.downstream_listener_filter_remote_close.add();
      finish(false);
      return;
    }
    if (early_.size() >= kMaxEarlyBytes) {
      acceptor_.stats_.downstream_listener_filter_error.add();
      finish(true);
      return;
    }
    if (result.drained || result.state == transport::IoResult::State::kBlocked) return;
  }
}

bool PendingConnection::advance() {
  if (step_ == Step::kProxyHeader && !read_proxy_header()) return step_ == Step::kDone;
  if (step_ != Step::kFirstBytes) return true;
  if (early_.size() < need_bytes_ && (inspect_tls_ || inspect_http_)) return false;
  if (inspect_tls_ && !tls_detected_ && !detect_tls()) return false;
  if (inspect_http_ && !tls_detected_ && !detect_http()) return false;
  choose();
  return true;
}

bool PendingConnection::read_proxy_header() {
  ProxyHeader header;
  ProxyResult result = parse_proxy_header(early_.linearize(early_.size()), &header);
  if (result.state == ProxyState::kNeedMore) return false;
  if (result.state == ProxyState::kInvalid) {
    acceptor_.stats_.downstream_listener_filter_error.add();
    finish(true);
    return false;
  }
  early_.drain(result.bytes);
  if (header.source.family != transport::Address::Family::kNone) {
    transport::ConnectionInfo& info = plain_->mutable_info();
    info.local_restored = !(info.local == header.destination);
    info.local = header.destination;
    info.remote = header.source;
    inspect_tls_ = acceptor_.inspects_tls(info.local);
    inspect_http_ = acceptor_.inspects_http(info.local);
  }
  step_ = Step::kFirstBytes;
  return true;
}

bool PendingConnection::detect_tls() {
  ClientHello hello;
  HelloResult result = parse_client_hello(early_.linearize(early_.size()), &hello);
  if (result.state == HelloState::kNeedMore) {
    need_bytes_ = result.need_bytes;
    return false;
  }
  if (result.state == HelloState::kTls) {
    tls_detected_ = true;
    plain_->mutable_info().detected_server_name = std::move(hello.server_name);
    protocols_ = std::move(hello.protocols);
  }
  return true;
}

bool PendingConnection::detect_http() {
  std::string_view protocol;
  if (!detect_http_protocol(early_.linearize(early_.size()), &protocol)) {
    need_bytes_ = early_.size() + 1;
    return false;
  }
  if (!protocol.empty()) protocols_.assign(1, std::string(protocol));
  return true;
}

void PendingConnection::on_head_start_over() {
  const transport::ConnectionInfo& info = plain_->info();
  ConnectionFacts facts{&info.local, &info.remote, &info.direct_remote, {}, "raw_buffer", &protocols_};
  silent_chain_ = acceptor_.shared_->matcher->find(facts);
  if (silent_chain_ == nullptr || silent_chain_->tcp == nullptr || silent_chain_->tls != nullptr) return;
  upstream_ = acceptor_.handlers_.tcp.connect_early(*silent_chain_, info,
                                                    base::bind<&PendingConnection::on_upstream_spoke>(this));
}

void PendingConnection::on_upstream_spoke() {
  if (step_ == Step::kFirstBytes) choose();
}

void PendingConnection::choose() {
  timer_.disarm();
  head_start_.disarm();
  inspecting_ = false;
  acceptor_.stats_.downstream_pre_cx_active.subtract();
  const transport::ConnectionInfo& info = plain_->info();
  ConnectionFacts facts{
      &info.local, &info.remote, &info.direct_remote, info.detected_server_name, tls_detected_ ? "tls" : "raw_buffer",
      &protocols_};
  std::shared_ptr<const snapshot::FilterChain> chain = acceptor_.choose_chain(facts);
  if (chain == nullptr) {
    cause_ = http::Cause::kNoFilterChain;
    finish(false);
    return;
  }
  ticket_.set_chain(chain);
  if (chain != silent_chain_) upstream_.reset();
  if (chain->tls != nullptr) {
    handshake(std::move(chain));
    return;
  }
  std::unique_ptr<transport::ByteStream> stream = std::move(plain_);
  acceptor_.hand_over(std::move(stream), *chain, std::move(early_), std::move(ticket_), std::move(upstream_));
  finish(false);
}

void PendingConnection::handshake(std::shared_ptr<const snapshot::FilterChain> chain) {
  step_ = Step::kHandshake;
  chain_ = std::move(chain);
  if (!chain_->tls->ready()) {
    acceptor_.stats_.server_ssl_socket_factory_downstream_context_secrets_not_ready.add();
    cause_ = http::Cause::kDownstreamHandshakeFailed;
    return finish(false);
  }
  if (chain_->transport_connect_timeout_ms > 0) timer_.arm(chain_->transport_connect_timeout_ms);
  tls_ = chain_->tls->accept(std::move(plain_), std::move(early_));
  tls_->attach(*this);
}

void PendingConnection::on_connected() {
  observe::ListenerStats& stats = acceptor_.stats_;
  stats.ssl_handshake.add();
  if (const transport::TlsInfo* tls = tls_->info().tls) {
    if (tls->resumed) stats.ssl_session_reused.add();
    if (!tls->peer_certificate_presented) stats.ssl_no_certificate.add();
  }
  timer_.disarm();
  acceptor_.hand_over(std::move(tls_), *chain_, base::Buffer(), std::move(ticket_));
  finish(false);
}

void PendingConnection::on_connect_failed() {
  observe::ListenerStats& stats = acceptor_.stats_;
  cause_ = http::Cause::kDownstreamHandshakeFailed;
  switch (tls_->tls_failure()) {
    case transport::ByteStream::TlsFailure::kNoCertificate:
      stats.ssl_fail_verify_no_cert.add();
      break;
    case transport::ByteStream::TlsFailure::kVerify:
      stats.ssl_fail_verify_error.add();
      break;
    case transport::ByteStream::TlsFailure::kSan:
      stats.ssl_fail_verify_san.add();
      break;
    case transport::ByteStream::TlsFailure::kNone:
      break;
  }
  if (tls_->error_kind() == transport::ByteStream::ErrorKind::kTls) stats.ssl_connection_error.add();
  finish(false);
}

void PendingConnection::on_timeout() {
  if (step_ == Step::kHandshake) {
    acceptor_.stats_.downstream_cx_transport_socket_connect_timeout.add();
    cause_ = http::Cause::kDownstreamHandshakeFailed;
    finish(false);
    return;
  }
  acceptor_.stats_.downstream_pre_cx_timeout.add();
  if (acceptor_.listener().continue_on_listener_filters_timeout && step_ == Step::kFirstBytes) {
    step_ = Step::kFirstBytes;
    choose();
  } else {
    finish(false);
  }
}

void PendingConnection::finish(bool reset) {
  if (step_ == Step::kDone) return;
  step_ = Step::kDone;
  timer_.disarm();
  head_start_.disarm();
  upstream_.reset();
  --acceptor_.pending_count_;
  if (inspecting_) {
    inspecting_ = false;
    acceptor_.stats_.downstream_pre_cx_active.subtract();
  }
  // Neither is left once it was handed over.
  const transport::ByteStream* ended = tls_ != nullptr ? tls_.get() : plain_.get();
  if (ended != nullptr) acceptor_.log_end(*ended, chain_.get(), cause_, ticket_.accepted_ns());
  auto kind = reset ? transport::ByteStream::CloseKind::kReset : transport::ByteStream::CloseKind::kGraceful;
  if (plain_ != nullptr) plain_->close(kind);
  if (tls_ != nullptr) tls_->close(kind);
  ticket_.release();
  base::ListNode<PendingConnection>::unlink();
  acceptor_.loop_.destroy_later(std::unique_ptr<event::Deferred>(this));
}

}  // namespace weft::listener
