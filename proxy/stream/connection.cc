#include "proxy/stream/connection.h"

#include "proxy/stream/client_certificate.h"

#include <algorithm>
#include <utility>

#include "proxy/codec/http1/http1.h"
#include "proxy/codec/http2/http2.h"
#include "proxy/snapshot/connection_log.h"
#include "proxy/stream/exchange.h"
#include "proxy/transport/principals.h"

namespace weft::stream {
namespace {

using CloseKind = transport::ByteStream::CloseKind;

constexpr int kTurnExchanges = 32;
// RFC 9113, 3.4: what an HTTP/2 client says first.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Connection::Connection(Worker& worker, std::unique_ptr<transport::ByteStream> stream,
                       const snapshot::Listener& listener, const snapshot::FilterChain& chain, base::Buffer early,
                       snapshot::ConnectionTicket ticket)
    : worker_(worker),
      io_{.stream = std::move(stream), .input = std::move(early)},
      listener_(listener),
      chain_(chain),
      ticket_(std::move(ticket)),
      stats_(chain.http->stats->of_worker(worker.context().worker)),
      idle_timer_(worker.context().loop.timers(), base::bind<&Connection::on_idle>(this)),
      head_timer_(worker.context().loop.timers(), base::bind<&Connection::on_head_timeout>(this)),
      lifetime_timer_(worker.context().loop.timers(), base::bind<&Connection::on_lifetime_over>(this)),
      started_ns_(worker.context().loop.now_ns()) {}

Connection::~Connection() = default;

void Connection::start() {
  stats_.downstream_cx_total.add();
  stats_.downstream_cx_active.add();
  if (is_tls()) {
    stats_.downstream_cx_ssl_total.add();
    stats_.downstream_cx_ssl_active.add();
  }
  render_peer();
  client_certificate_ = stream::client_certificate(http(), *io_.stream);
  if (http().idle_timeout_ms != 0) idle_timer_.arm(http().idle_timeout_ms);
  if (http().max_connection_duration_ms != 0) lifetime_timer_.arm(http().max_connection_duration_ms);
  io_.stream->attach(*this);
  if (!rbac::admit(chain_.guards, io_.stream->info(), worker_.context().worker).allowed) {
    refused_ = http::Cause::kAccessDenied;
    return end(CloseKind::kGraceful);
  }
  if (!io_.input.empty()) {
    receive();
    schedule_flush();
  }
}

void Connection::render_peer() {
  const transport::ConnectionInfo& info = io_.stream->info();
  peer_.connection_id = worker_.next_connection_id();
  if (http().hops != nullptr) principals_ = transport::principals_of(info);
  std::string_view* views[] = {&peer_.remote_ip,        &peer_.remote_address,
                               &peer_.direct_remote_ip, &peer_.direct_remote_address,
                               &peer_.local_ip,         &peer_.local_address};
  std::string texts[6];
  texts[0] = info.remote.ip_text();
  texts[1] = info.remote.to_string();
  texts[2] = info.direct_remote.ip_text();
  texts[3] = info.direct_remote.to_string();
  if (!http().access_logs.empty()) {
    texts[4] = info.local.ip_text();
    texts[5] = info.local.to_string();
    peer_.local_port = info.local.port;
  }
  peer_.remote_port = info.remote.port;
  peer_.direct_remote_port = info.direct_remote.port;
  std::string uri_sans, dns_sans, local_sans;
  auto join = [](const std::vector<std::string>& from, std::string& to) {
    for (const std::string& each : from) to += (to.empty() ? "" : ",") + each;
  };
  for (const std::string& text : texts) peer_texts_ += text;
  size_t at = peer_texts_.size();
  if (info.tls != nullptr) {
    join(info.tls->peer_uri_sans, uri_sans);
    join(info.tls->peer_dns_sans, dns_sans);
    join(info.tls->local_uri_sans, local_sans);
    peer_texts_ += uri_sans + dns_sans + local_sans;
    peer_.sni = info.tls->sni;
    peer_.tls_version = info.tls->version;
    peer_.tls_cipher = info.tls->cipher;
    peer_.peer_subject = info.tls->peer_subject;
    peer_.peer_issuer = info.tls->peer_issuer;
    peer_.peer_serial = info.tls->peer_serial;
    peer_.peer_fingerprint_256 = info.tls->peer_fingerprint_sha256;
  }
  const char* text = peer_texts_.data();
  for (int i = 0; i < 6; ++i) {
    *views[i] = {text, texts[i].size()};
    text += texts[i].size();
  }
  std::string_view rest = std::string_view(peer_texts_).substr(at);
  peer_.peer_uri_san = rest.substr(0, uri_sans.size());
  peer_.peer_dns_san = rest.substr(uri_sans.size(), dns_sans.size());
  peer_.local_uri_san = rest.substr(uri_sans.size() + dns_sans.size());
}

bool Connection::choose_codec() {
  snapshot::CodecType type = http().codec_type;
  if (type == snapshot::CodecType::kAuto) {
    std::string_view alpn = io_.stream->alpn();
    if (alpn == "h2") {
      type = snapshot::CodecType::kHttp2;
    } else if (!alpn.empty()) {
      type = snapshot::CodecType::kHttp1;
    } else {
      size_t n = std::min(io_.input.size(), kPreface.size());
      if (n == 0) return false;
      if (io_.input.linearize(n) != kPreface.substr(0, n)) {
        type = snapshot::CodecType::kHttp1;
      } else if (n == kPreface.size()) {
        type = snapshot::CodecType::kHttp2;
      } else {
        return false;
      }
    }
  }
  if (type == snapshot::CodecType::kHttp2) {
    codec_ = codec::http2::make_server_codec(http().limits, *this);
    stats_.downstream_cx_http2_total.add();
    stats_.downstream_cx_http2_active.add();
  } else {
    codec_ = codec::http1::make_server_codec(http().limits, *this);
    stats_.downstream_cx_http1_total.add();
    stats_.downstream_cx_http1_active.add();
  }
  if (draining_) start_drain();
  return true;
}

void Connection::on_readable() {
  io_.readable = true;
  receive();
  schedule_flush();
}

void Connection::on_writable() {
  io_.write_blocked = false;
  schedule_flush();
}

void Connection::on_connect_failed() { lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed); }

void Connection::on_next_turn() {
  receive();
  schedule_flush();
}

void Connection::receive() {
  // What is still to come of a flood stays with the kernel, and so with its sender.
  if (lingering_ && codec_->cause() == http::Cause::kWorkBudgetExceeded) return;
  size_t budget = codec::ConnectionIo::kTurnReadBytes;
  while (!ended_) {
    if (codec_ == nullptr && choose_codec()) continue;
    if (lingering_) io_.input.clear();
    if (codec_ != nullptr && !lingering_) {
      if (!io_.input.empty()) {
        codec::FeedState state = codec_->feed(io_.input);
        if (state == codec::FeedState::kPaused || state == codec::FeedState::kFailed) break;
      }
      if (io_.input_ended && !end_told_ && io_.input.empty()) {
        end_told_ = true;
        codec_->on_input_end();
        break;
      }
    }
    if (!io_.readable || io_.input_ended) break;
    if (budget == 0) {
      worker_.context().loop.at_next_turn(*this);
      break;
    }
    if (!io_.read(budget)) return lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
    if (io_.input_ended && codec_ == nullptr && !choose_codec()) return end(CloseKind::kGraceful);
  }
  if (io_.input.empty()) io_.input.trim();
  if (http().request_headers_timeout_ms == 0 || codec_ == nullptr) return;
  // Bytes that are left over while no exchange is open are a head that is not complete.
  bool partial_head = !io_.input.empty() && codec_->open_streams() == 0;
  if (!partial_head) {
    head_timer_.disarm();
  } else if (!head_timer_.armed()) {
    head_timer_.arm(http().request_headers_timeout_ms);
  }
}

codec::RequestEvents& Connection::on_new_stream(codec::ServerStream& handle) {
  ++requests_;
  Exchange* exchange = worker_.take_exchange();
  exchange->begin(*this, handle);
  if (http().max_requests_per_connection != 0 && requests_ >= http().max_requests_per_connection && !draining_) {
    stats_.downstream_cx_max_requests_reached.add();
    draining_ = true;
    codec_->start_drain();
  }
  return *exchange;
}

void Connection::on_exchange_closed() {
  // The next request may be on its way already. Of HTTP/1 the answer that said `close` ends it, of HTTP/2 the timer.
  bool more_may_come = retired_ && (codec_->version() != http::Version::kHttp2 || http().drain_timeout_ms != 0);
  if (draining_ && codec_->open_streams() == 0 && !more_may_come) codec_->finish_drain();
  if (http().idle_timeout_ms != 0 && codec_->open_streams() == 0) idle_timer_.arm(http().idle_timeout_ms);
}

void Connection::on_turn_end() {
  if (ended_) return;
  if (codec_ == nullptr) return;
  for (int i = 0;; ++i) {
    codec_->deliver_closed();
    size_t before = io_.input.size();
    if (before == 0 && !io_.readable && (!io_.input_ended || end_told_)) break;
    if (i == kTurnExchanges) {
      worker_.context().loop.at_next_turn(*this);
      break;
    }
    receive();
    if (ended_) return;
    if (io_.input.size() == before) break;
  }
  codec_->deliver_closed();
  write_output();
  if (ended_) return;
  // Sending can be what ends an exchange, and the last one's end can be what lets a GOAWAY go.
  codec_->deliver_closed();
  codec_->fill_output();
  if (!codec_->output().empty() && !io_.write_blocked) write_output();
  if (ended_) return;
  finish_if_done();
}

void Connection::write_output() {
  if (io_.write(*codec_).lost) return lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
  if (!io_.update_output_blocked(*codec_, http().limits.connection_buffer_high_bytes)) return;
  (io_.output_blocked ? stats_.downstream_flow_control_paused_reading_total
                      : stats_.downstream_flow_control_resumed_reading_total)
      .add();
}

void Connection::finish_if_done() {
  if (lingering_) {
    if (io_.input_ended) end(CloseKind::kGraceful);
    return;
  }
  // A peer that broke the protocol and does not read what we say to that is not waited for.
  bool gave_up = codec_->version() == http::Version::kHttp2 && codec_->cause() != http::Cause::kNone;
  if (codec_->finished() && gave_up && io_.write_blocked) return end(CloseKind::kReset);
  if (!codec_->finished() || !codec_->output().empty() || io_.stream->unsent_bytes() != 0) return;
  if (codec_->must_reset()) return end(CloseKind::kReset);
  bool all_read = io_.input_ended || (io_.input.empty() && !io_.readable && codec_->cause() == http::Cause::kNone);
  if (all_read || http().delayed_close_timeout_ms == 0) return end(CloseKind::kGraceful);
  // Closing with unread bytes would reset the connection and might destroy the answer on its way (RFC 9112, 9.6).
  lingering_ = true;
  io_.shut_write();
  head_timer_.disarm();
  idle_timer_.disarm();
  idle_timer_.arm(http().delayed_close_timeout_ms);
  receive();
  if (!ended_ && io_.input_ended) end(CloseKind::kGraceful);
}

void Connection::drain() {
  bool was_retired = std::exchange(retired_, false);
  if ((draining_ && !was_retired) || ended_) return;
  draining_ = true;
  if (codec_ == nullptr) return end(CloseKind::kGraceful);
  if (!was_retired) start_drain();
  if (codec_->open_streams() == 0) codec_->finish_drain();
  schedule_flush();
}

void Connection::retire() {
  if (draining_ || ended_) return;
  draining_ = retired_ = true;
  if (codec_ == nullptr) return;
  start_drain();
  schedule_flush();
}

void Connection::start_drain() {
  stats_.downstream_cx_drain_close.add();
  codec_->start_drain();
  // Streams that come meanwhile are still taken; after that time the last one that will be is named.
  if (codec_->version() == http::Version::kHttp2 && http().drain_timeout_ms != 0) {
    lifetime_timer_.arm(http().drain_timeout_ms);
  }
}

void Connection::close_now(http::Cause cause) { lost(codec::ResetReason::kConnectionClosed, cause); }

void Connection::lost(codec::ResetReason reason, http::Cause cause) {
  if (ended_) return;
  if (codec_ != nullptr) {
    if (codec_->open_streams() != 0) stats_.downstream_cx_destroy_active_rq.add();
    codec_->on_connection_lost(reason, cause);
    codec_->deliver_closed();
  }
  if (cause == http::Cause::kDownstreamClosed) stats_.downstream_cx_destroy_remote.add();
  end(CloseKind::kReset);
}

void Connection::end(CloseKind kind) {
  if (ended_) return;
  if (codec_ != nullptr && codec_->open_streams() != 0) {
    codec_->on_connection_lost(codec::ResetReason::kConnectionClosed, codec_->cause() != http::Cause::kNone
                                                                          ? codec_->cause()
                                                                          : http::Cause::kDownstreamClosed);
    codec_->deliver_closed();
  }
  ended_ = true;
  stats_.downstream_cx_active.subtract();
  stats_.downstream_cx_destroy.add();
  if (is_tls()) stats_.downstream_cx_ssl_active.subtract();
  if (codec_ != nullptr) {
    bool http2 = codec_->version() == http::Version::kHttp2;
    (http2 ? stats_.downstream_cx_http2_active : stats_.downstream_cx_http1_active).subtract();
    if (codec_->cause() != http::Cause::kNone) stats_.downstream_cx_protocol_error.add();
  }
  stats_.downstream_cx_rx_bytes_total.add(io_.stream->received_bytes());
  stats_.downstream_cx_tx_bytes_total.add(io_.stream->sent_bytes());
  auto& loop = worker_.context().loop;
  stats_.downstream_cx_length_ms.record(static_cast<uint64_t>((loop.now_ns() - started_ns_) / 1'000'000));
  idle_timer_.disarm();
  head_timer_.disarm();
  lifetime_timer_.disarm();
  base::ListNode<event::TurnEndTask>::unlink();
  base::ListNode<event::NextTurnTask>::unlink();
  base::ListNode<Connection>::unlink();
  http::Cause cause = codec_ == nullptr ? refused_ : codec_->cause();
  snapshot::log_connection(listener_, *io_.stream, {ticket_.accepted_ns(), &chain_, cause, peer_.connection_id}, loop,
                           worker_.context().worker);
  io_.stream->close(kind);
  ticket_.release();
  worker_.connection_closed();
  loop.destroy_later(std::unique_ptr<event::Deferred>(this));
}

void Connection::on_idle() {
  if (lingering_) return end(CloseKind::kGraceful);
  if (codec_ != nullptr && codec_->open_streams() != 0) return;
  stats_.downstream_cx_idle_timeout.add();
  if (codec_ == nullptr) return end(CloseKind::kGraceful);
  codec_->start_drain();
  codec_->finish_drain();
  schedule_flush();
}

void Connection::on_head_timeout() {
  stats_.downstream_rq_header_timeout.add();
  codec_->give_up_head();
  io_.input.clear();
  schedule_flush();
}

void Connection::on_lifetime_over() {
  if (draining_) {
    codec_->finish_drain();
    return schedule_flush();
  }
  stats_.downstream_cx_max_duration_reached.add();
  drain();
}

}  // namespace weft::stream
