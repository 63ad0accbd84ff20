#include "proxy/pool/connection.h"

#include <algorithm>

#include "proxy/codec/http1/http1.h"
#include "proxy/codec/http2/http2.h"
#include "proxy/codec/tunnel/tunnel.h"
#include "proxy/pool/cluster_pools.h"
#include "proxy/pool/host_pool.h"
#include "proxy/transport/principals.h"

namespace weft::pool {
namespace {

using CloseKind = transport::ByteStream::CloseKind;
using http::Cause;

Cause connect_cause(transport::ByteStream::ErrorKind kind) {
  using Kind = transport::ByteStream::ErrorKind;
  switch (kind) {
    case Kind::kRefused:
      return Cause::kConnectRefused;
    case Kind::kTimedOut:
      return Cause::kConnectTimeout;
    case Kind::kTls:
    case Kind::kNoSecret:
      return Cause::kUpstreamTlsFailed;
    default:
      return Cause::kConnectFailed;
  }
}

void count_tls_failure(observe::ClusterStats& stats, transport::ByteStream::TlsFailure failure) {
  using Failure = transport::ByteStream::TlsFailure;
  stats.ssl_connection_error.add();
  if (failure == Failure::kVerify || failure == Failure::kNoCertificate) stats.ssl_fail_verify_error.add();
  if (failure == Failure::kSan) stats.ssl_fail_verify_san.add();
}

}  // namespace

Connection::Connection(HostPool& pool)
    : pool_(pool),
      timer_(pool.owner().owner().loop().timers(), base::bind<&Connection::on_timer>(this)),
      ping_timer_(pool.owner().owner().loop().timers(), base::bind<&Connection::on_ping_timer>(this)),
      lifetime_timer_(pool.owner().owner().loop().timers(), base::bind<&Connection::on_lifetime_over>(this)),
      id_(pool.owner().owner().next_connection_id()),
      begun_ns_(pool.owner().owner().loop().now_ns()) {}

Connection::~Connection() = default;

void Connection::connect() {
  const auto& cluster = pool_.owner().cluster();
  const auto& config = cluster.config();
  timer_.arm(config.connect_timeout_ms);
  transport::ServerName server{pool_.server_name(), config.auto_sni, config.auto_san_validation};
  event::Loop& loop = pool_.owner().owner().loop();
  transport::Connector& connector = cluster.connector_of(pool_.host());
  io_.stream = config.names_servers() ? connector.connect_to(loop, pool_.host().address(), server)
                                      : connector.connect(loop, pool_.host().address());
  io_.stream->attach(*this);
}

void Connection::on_connected() {
  if (ended_) return;
  auto& cluster = pool_.owner().cluster();
  const auto& config = cluster.config();
  auto& stats = pool_.owner().stats();
  auto& loop = pool_.owner().owner().loop();
  stats.upstream_cx_connect_ms.record(static_cast<uint64_t>((loop.now_ns() - begun_ns_) / 1'000'000));
  if (const transport::TlsInfo* tls = io_.stream->info().tls) {
    stats.ssl_handshake.add();
    if (tls->resumed) stats.ssl_session_reused.add();
    principals_ = transport::principals_of(io_.stream->info());
  }
  bool http2 = pool_.protocol() == PoolProtocol::kHttp2 ||
               (pool_.protocol() == PoolProtocol::kAuto && io_.stream->alpn() == "h2");
  if (pool_.protocol() == PoolProtocol::kTunnel) {
    codec_ = codec::tunnel::make_client_codec();
  } else if (http2) {
    codec_ = codec::http2::make_client_codec(config.codec_limits);
    stats.upstream_cx_http2_total.add();
    if (config.h2_ping_interval_ms != 0) ping_timer_.arm(config.h2_ping_interval_ms);
  } else {
    codec_ = codec::http1::make_client_codec(config.codec_limits);
    stats.upstream_cx_http1_total.add();
  }
  if (config.idle_timeout_ms != 0) {
    timer_.arm(config.idle_timeout_ms);
  } else {
    timer_.disarm();
  }
  if (config.max_connection_duration_ms != 0) lifetime_timer_.arm(config.max_connection_duration_ms);
  pool_.on_connected(*this);
  schedule_flush();
}

void Connection::on_connect_failed() { connect_failed(connect_cause(io_.stream->error_kind()), io_.stream->error()); }

void Connection::connect_failed(Cause cause, std::string_view detail) {
  if (ended_) return;
  auto& stats = pool_.owner().stats();
  stats.upstream_cx_connect_fail.add();
  if (cause == Cause::kConnectTimeout) stats.upstream_cx_connect_timeout.add();
  if (io_.stream->error_kind() == transport::ByteStream::ErrorKind::kNoSecret) {
    stats.client_ssl_socket_factory_upstream_context_secrets_not_ready.add();
  } else if (cause == Cause::kUpstreamTlsFailed) {
    count_tls_failure(stats, io_.stream->tls_failure());
  }
  std::string text(detail);
  // The waiters are told after the connection has gone from the pool, so that a retry finds it as it then is.
  HostPool& pool = pool_;
  end(CloseKind::kReset);
  pool.on_connect_failed(*this, cause, text);
}

void Connection::schedule_flush() {
  if (!ended_) pool_.owner().owner().loop().at_turn_end(*this);
}

bool Connection::can_start_stream() const {
  if (ended_ || draining_ || io_.input_ended || codec_ == nullptr || !codec_->can_start_stream()) return false;
  uint32_t most = pool_.owner().cluster().config().max_requests_per_connection;
  return most == 0 || started_streams_ < most;
}

codec::ClientStream& Connection::start_stream(codec::ResponseEvents& events) {
  ++started_streams_;
  uint32_t most = pool_.owner().cluster().config().max_requests_per_connection;
  if (most != 0 && started_streams_ == most) pool_.owner().stats().upstream_cx_max_requests.add();
  was_busy_ = true;
  return codec_->new_stream(events);
}

bool Connection::request_bytes_written(const codec::ClientStream& stream) const {
  // HTTP/2 numbers its streams 1, 3, 5 in the order of their heads, so the n-th head belongs to no stream begun after
  // the n-th. A stream counts as written once anything was written after it began: never too late.
  uint32_t id = stream.stream_id();
  uint32_t ordinal = codec_->version() == http::Version::kHttp2 ? id / 2 + (id & 1) : id;
  return ordinal != 0 && ordinal <= written_streams_;
}

std::string_view Connection::local_address_text() const {
  if (local_address_.empty()) local_address_ = io_.stream->info().local.to_string();
  return local_address_;
}

void Connection::on_readable() {
  if (ended_ || codec_ == nullptr) {
    io_.readable = true;
    return;
  }
  io_.readable = true;
  receive();
  schedule_flush();
}

void Connection::on_writable() {
  io_.write_blocked = false;
  schedule_flush();
}

void Connection::on_next_turn() {
  if (ended_) return;
  receive();
  schedule_flush();
}

void Connection::receive() {
  size_t budget = codec::ConnectionIo::kTurnReadBytes;
  while (!ended_) {
    if (!io_.input.empty()) {
      codec::FeedState state = codec_->feed(io_.input);
      if (state == codec::FeedState::kPaused) break;
      if (state == codec::FeedState::kFailed || state == codec::FeedState::kClose) {
        draining_ = true;
        if (state == codec::FeedState::kFailed) pool_.owner().stats().upstream_cx_protocol_error.add();
        break;
      }
    }
    if (io_.input_ended) {
      codec_->on_input_end();
      draining_ = true;
      break;
    }
    if (!io_.readable) break;
    if (budget == 0) {
      pool_.owner().owner().loop().at_next_turn(*this);
      break;
    }
    if (!io_.read(budget)) {
      // What arrived before the error still counts: a whole answer is a whole answer.
      if (!io_.input.empty() && codec_->feed(io_.input) == codec::FeedState::kPaused) io_.input.clear();
      return lost(Cause::kUpstreamClosed, io_.stream->error());
    }
  }
  if (io_.input.empty()) io_.input.trim();
}

void Connection::on_turn_end() {
  if (ended_ || codec_ == nullptr) return;
  codec_->deliver_closed();
  if (!io_.input.empty() || io_.readable) {
    receive();
    if (ended_) return;
    codec_->deliver_closed();
  }
  write_output();
  if (ended_) return;
  // Sending can be what ends an exchange.
  codec_->deliver_closed();
  if (was_busy_ && codec_->open_streams() == 0) {
    was_busy_ = false;
    int64_t idle_ms = pool_.owner().cluster().config().idle_timeout_ms;
    if (idle_ms != 0) timer_.arm(idle_ms);
  }
  bool over = codec_->finished() || (draining_ && codec_->open_streams() == 0);
  if (over && codec_->must_reset()) return end(CloseKind::kReset);
  if (over && (codec_->output().empty() || io_.input_ended)) return end(CloseKind::kGraceful);
  pool_.on_stream_closed(*this);
}

void Connection::write_output() {
  codec::ConnectionIo::Written written = io_.write(*codec_);
  if (written.bytes != 0) written_streams_ = started_streams_;
  if (written.lost) return lost(Cause::kUpstreamClosed, io_.stream->error());
  io_.update_output_blocked(*codec_, pool_.owner().cluster().config().per_connection_buffer_limit_bytes);
}

void Connection::lost(Cause cause, std::string_view) {
  if (ended_) return;
  auto& stats = pool_.owner().stats();
  stats.upstream_cx_destroy_remote.add();
  draining_ = true;  // Who tries again from within must not come back here.
  codec_->on_connection_lost(codec::ResetReason::kConnectionClosed, cause);
  codec_->deliver_closed();
  end(CloseKind::kReset);
}

void Connection::close_now(codec::ResetReason reason, Cause cause) {
  if (ended_) return;
  draining_ = true;
  if (codec_ != nullptr) {
    codec_->on_connection_lost(reason, cause);
    codec_->deliver_closed();
  }
  pool_.owner().stats().upstream_cx_destroy_local.add();
  end(CloseKind::kReset);
}

void Connection::drain() {
  draining_ = true;
  if (codec_ != nullptr && codec_->open_streams() == 0) end(CloseKind::kGraceful);
}

void Connection::end(CloseKind kind) {
  if (ended_) return;
  draining_ = true;
  if (open_streams() != 0) {
    codec_->on_connection_lost(codec::ResetReason::kConnectionClosed,
                               codec_->cause() != Cause::kNone ? codec_->cause() : Cause::kUpstreamClosed);
    codec_->deliver_closed();
  }
  ended_ = true;
  auto& loop = pool_.owner().owner().loop();
  auto& stats = pool_.owner().stats();
  stats.upstream_cx_destroy.add();
  stats.upstream_cx_rx_bytes_total.add(io_.stream->received_bytes());
  stats.upstream_cx_tx_bytes_total.add(io_.stream->sent_bytes());
  stats.upstream_cx_length_ms.record(static_cast<uint64_t>((loop.now_ns() - begun_ns_) / 1'000'000));
  timer_.disarm();
  ping_timer_.disarm();
  lifetime_timer_.disarm();
  base::ListNode<event::TurnEndTask>::unlink();
  base::ListNode<event::NextTurnTask>::unlink();
  io_.stream->close(kind);
  pool_.on_ended(*this);
  loop.destroy_later(std::unique_ptr<event::Deferred>(this));
}

void Connection::on_timer() {
  if (codec_ == nullptr) return connect_failed(Cause::kConnectTimeout, "connection timeout");
  if (codec_->open_streams() != 0) return;
  pool_.owner().stats().upstream_cx_idle_timeout.add();
  end(CloseKind::kGraceful);
}

void Connection::on_ping_timer() {
  const auto& config = pool_.owner().cluster().config();
  if (codec_->ping_outstanding()) return close_now(codec::ResetReason::kConnectionClosed, Cause::kUpstreamClosed);
  if (codec_->send_ping()) schedule_flush();
  ping_timer_.arm(std::max<int64_t>(config.h2_ping_timeout_ms, config.h2_ping_interval_ms));
}

void Connection::on_lifetime_over() { drain(); }

}  // namespace weft::pool
