#include "proxy/tcp/session.h"

#include <algorithm>
#include <utility>

#include "proxy/snapshot/connection_log.h"
#include "proxy/transport/principals.h"

namespace weft::tcp {
namespace {

using transport::ByteStream;

// What one connection may move in a turn before the others have theirs.
constexpr size_t kShareBytes = 512 * 1024;

}  // namespace

// ---- Worker

Worker::Worker(pool::WorkerContext& context) : context_(context) {}

Worker::~Worker() { close_all(); }

void Worker::on_connection(std::unique_ptr<ByteStream> stream, const snapshot::Listener& listener,
                           const snapshot::FilterChain& chain, base::Buffer early, snapshot::ConnectionTicket ticket) {
  auto* session = new Session(*this, std::move(stream), listener, chain, std::move(early), std::move(ticket));
  sessions_.push_back(*session);
  session->start();
}

std::unique_ptr<snapshot::EarlyUpstream> Worker::connect_early(const snapshot::FilterChain& chain,
                                                               const transport::ConnectionInfo& info,
                                                               base::Callback<void()> on_first_bytes) {
  return std::make_unique<EarlyDial>(context_, *chain.tcp, info, on_first_bytes);
}

void Worker::on_connection_with(std::unique_ptr<snapshot::EarlyUpstream> upstream, std::unique_ptr<ByteStream> stream,
                                const snapshot::Listener& listener, const snapshot::FilterChain& chain,
                                base::Buffer early, snapshot::ConnectionTicket ticket) {
  auto* session = new Session(*this, std::move(stream), listener, chain, std::move(early), std::move(ticket));
  sessions_.push_back(*session);
  // Nobody else made it.
  session->start(std::unique_ptr<EarlyDial>(static_cast<EarlyDial*>(upstream.release())));
}

void Worker::close_all() {
  while (!sessions_.empty()) sessions_.front().close(http::Cause::kDrainTimeout);
}

void Worker::close(const snapshot::RetiredChains& chains) {
  for (Session& session : sessions_) {
    if (chains.contains(session.chain())) session.close(http::Cause::kDrainTimeout);
  }
}

bool Worker::has_connections(const snapshot::RetiredChains& chains) {
  for (Session& session : sessions_) {
    if (chains.contains(session.chain())) return true;
  }
  return false;
}

// ---- Session

Session::Session(Worker& worker, std::unique_ptr<ByteStream> stream, const snapshot::Listener& listener,
                 const snapshot::FilterChain& chain, base::Buffer early, snapshot::ConnectionTicket ticket)
    : worker_(worker),
      config_(chain.tcp),
      stats_(config_->stats->of_worker(worker.context_.worker)),
      ticket_(std::move(ticket)),
      listener_(listener),
      chain_(chain),
      id_(++worker.last_connection_id_),
      downstream_(std::move(stream)),
      early_(std::move(early)),
      idle_timer_(worker.context_.loop.timers(), base::bind<&Session::on_idle>(this)),
      duration_timer_(worker.context_.loop.timers(), base::bind<&Session::on_max_duration>(this)),
      start_ns_(worker.context_.loop.now_ns()),
      start_wall_ns_(worker.context_.loop.wall_ns()) {
  downstream_side_.session = upstream_side_.session = this;
  downstream_side_.out = upstream_side_.in = &to_upstream_;
  downstream_side_.in = upstream_side_.out = &to_downstream_;
  ++worker_.open_connections_;
  stats_.downstream_cx_total.add();
  stats_.downstream_cx_active.add();
}

Session::~Session() = default;

void Session::start(std::unique_ptr<EarlyDial> dial) {
  downstream_->attach(downstream_side_);
  if (config_->max_connection_duration_ms > 0) duration_timer_.arm(config_->max_connection_duration_ms);
  if (config_->idle_timeout_ms > 0) idle_timer_.arm(config_->idle_timeout_ms);
  if (config_->hops != nullptr) downstream_principals_ = transport::principals_of(downstream_->info());
  if (!early_.empty()) stats_.early_data_received_count_total.add();
  if (rbac::Outcome outcome = rbac::admit(chain_.guards, downstream_->info(), worker_.context_.worker);
      !outcome.allowed) {
    detail_ = std::string(outcome.detail);
    return end(http::Cause::kAccessDenied, ByteStream::CloseKind::kGraceful);
  }
  if (dial != nullptr) return take_over(std::move(dial));
  slot_ = choose_cluster(*config_, worker_.context_.random);
  try_connect();
}

void Session::take_over(std::unique_ptr<EarlyDial> dial) {
  EarlyDial::Result begun = dial->give_to(*this);
  slot_ = begun.slot;
  // There was nobody to connect to, which may be different now.
  if (begun.host == nullptr) return try_connect();
  cluster_ = std::move(begun.cluster);
  host_ = std::move(begun.host);
  ++attempts_;
  if (begun.failed) {
    on_tcp_failed(begun.cause, begun.detail);
  } else if (begun.stream != nullptr) {
    on_tcp_ready(std::move(begun.stream), *host_);
  } else {
    dial_ = std::move(dial);
  }
}

void Session::try_connect() {
  step_ = Step::kConnecting;
  pool::WorkerCluster* upstreams = slot_ == nullptr ? nullptr : worker_.context_.upstreams.find(*slot_);
  if (upstreams == nullptr) {
    stats_.downstream_cx_no_route.add();
    end(http::Cause::kNoCluster, ByteStream::CloseKind::kGraceful);
    return;
  }
  cluster_ = upstreams->cluster().shared_from_this();
  std::vector<cluster::Host*> avoid;
  for (const auto& host : tried_) avoid.push_back(host.get());
  pool::BalanceContext context = balance_context(downstream_->info());
  context.avoid = avoid.data();
  context.avoid_count = avoid.size();
  context.avoid_tries = 3;
  host_ = upstreams->choose_host(context);
  if (host_ == nullptr) {
    detail_ = cluster_->name();
    end(pool::no_host_cause(*cluster_, context), ByteStream::CloseKind::kGraceful);
    return;
  }
  ++attempts_;
  upstreams->acquire_tcp(host_, *this);
}

void Session::on_tcp_failed(http::Cause cause, std::string_view detail) {
  if (step_ == Step::kEnded) return;
  detail_ = std::string(detail);
  // A full breaker will not have more room for the next try.
  bool hopeless = cause == http::Cause::kOverflowConnections || cause == http::Cause::kNoHealthyUpstream;
  if (hopeless || attempts_ >= config_->max_connect_attempts) {
    end(cause, ByteStream::CloseKind::kGraceful);
    return;
  }
  tried_.push_back(std::move(host_));
  step_ = Step::kRetry;
  worker_.context_.loop.at_next_turn(*this);
}

void Session::on_tcp_ready(std::unique_ptr<ByteStream> stream, cluster::Host&) {
  if (step_ == Step::kEnded) return;
  step_ = Step::kRelaying;
  detail_.clear();
  upstream_connected_ns_ = worker_.context_.loop.now_ns();
  upstream_ = std::move(stream);
  if (config_->hops != nullptr) {
    upstream_principals_ = transport::principals_of(upstream_->info());
    config_->hops->count_opened(hop(), worker_.context_.worker, upstream_connected_ns_);
    opened_ = true;
  }
  to_upstream_.take(early_);
  observe::ClusterStats& cluster_stats = cluster_->stats(worker_.context_.worker);
  to_upstream_.start(*downstream_, *upstream_, listener_.per_connection_buffer_limit_bytes,
                     stats_.downstream_flow_control_paused_reading_total,
                     stats_.downstream_flow_control_resumed_reading_total);
  to_downstream_.start(*upstream_, *downstream_, cluster_->config().per_connection_buffer_limit_bytes,
                       cluster_stats.upstream_flow_control_paused_reading_total,
                       cluster_stats.upstream_flow_control_resumed_reading_total);
  upstream_->attach(upstream_side_);
  // What may be readable already is looked at in a turn of its own: this may be a call from within acquire_tcp().
  worker_.context_.loop.at_next_turn(*this);
}

void Session::on_next_turn() {
  if (step_ == Step::kRetry) {
    try_connect();
  } else if (step_ == Step::kRelaying) {
    move();
  }
}

void Session::Side::on_readable() {
  out->readable();
  if (session->step_ == Step::kRelaying) session->move();
}

void Session::Side::on_writable() {
  in->writable();
  if (session->step_ == Step::kRelaying) session->move();
}

void Session::move() {
  uint64_t moved = 0;
  Relay::State up = to_upstream_.move(kShareBytes, &moved);
  if (!settle(up, to_upstream_, *downstream_, *upstream_)) return;
  Relay::State down = to_downstream_.move(kShareBytes, &moved);
  if (config_->hops != nullptr && moved != 0) count_moved();
  if (!settle(down, to_downstream_, *upstream_, *downstream_)) return;
  // The client has sent and received all; the upstream still takes what came from it.
  bool flushing = to_upstream_.source_ended() && to_downstream_.done() && !to_upstream_.done();
  if (flushing && !std::exchange(flushing_, true)) {
    stats_.upstream_flush_total.add();
    stats_.upstream_flush_active.add();
  }
  if (moved != 0 && config_->idle_timeout_ms > 0) idle_timer_.arm(config_->idle_timeout_ms);
  if (to_upstream_.done() && to_downstream_.done()) {
    // What TLS still holds back goes first.
    if (downstream_->unsent_bytes() == 0 && upstream_->unsent_bytes() == 0) {
      end(http::Cause::kNone, ByteStream::CloseKind::kGraceful);
    }
  } else if (up == Relay::State::kBusy || down == Relay::State::kBusy) {
    worker_.context_.loop.at_next_turn(*this);
  }
}

bool Session::settle(Relay::State state, Relay& relay, ByteStream& from, ByteStream& to) {
  if (state != Relay::State::kFromFailed && state != Relay::State::kToFailed) return true;
  bool from_failed = state == Relay::State::kFromFailed;
  ByteStream& broken = from_failed ? from : to;
  if (from_failed && from.error_kind() == ByteStream::ErrorKind::kTls) {
    // Many close without close_notify. What they sent stands; the connection itself is over both ways.
    relay.end_source();
    uint64_t moved = 0;
    if (relay.move(SIZE_MAX, &moved) != Relay::State::kDone) return true;
    end(http::Cause::kNone, ByteStream::CloseKind::kGraceful);
    return false;
  }
  detail_ = std::string(broken.error());
  bool downstream_broke = &broken == downstream_.get();
  // The other side must not take what it got for the whole: it is reset, as this side was.
  end(downstream_broke ? http::Cause::kDownstreamReset : http::Cause::kUpstreamReset, ByteStream::CloseKind::kReset);
  return false;
}

void Session::on_idle() {
  stats_.idle_timeout.add();
  end(http::Cause::kStreamIdleTimeout, ByteStream::CloseKind::kGraceful);
}

void Session::on_max_duration() {
  stats_.max_downstream_connection_duration.add();
  end(http::Cause::kMaxStreamDuration, ByteStream::CloseKind::kGraceful);
}

void Session::close(http::Cause cause) { end(cause, ByteStream::CloseKind::kReset); }

void Session::end(http::Cause cause, ByteStream::CloseKind kind) {
  if (step_ == Step::kEnded) return;
  step_ = Step::kEnded;
  cause_ = cause;
  pool::TcpWaiter::unlink();
  dial_.reset();
  event::NextTurnTask::unlink();
  idle_timer_.disarm();
  duration_timer_.disarm();
  stats_.downstream_cx_active.subtract();
  if (flushing_) stats_.upstream_flush_active.subtract();
  stats_.downstream_cx_rx_bytes_total.add(downstream_->received_bytes());
  stats_.downstream_cx_tx_bytes_total.add(downstream_->sent_bytes());
  if (config_->hops != nullptr) count_closed();
  if (!config_->access_logs.empty() || !listener_.access_logs.empty()) log_access();
  downstream_->close(kind);
  if (upstream_ != nullptr) upstream_->close(kind);
  --worker_.open_connections_;
  base::ListNode<Session>::unlink();
  ticket_.release();
  worker_.context_.loop.destroy_later(std::unique_ptr<event::Deferred>(this));
}

observe::TcpHop Session::hop() const {
  observe::TcpHop hop;
  hop.ends.downstream = downstream_principals_.get();
  hop.ends.upstream = upstream_principals_.get();
  if (host_ != nullptr) hop.ends.workload = host_->identity();
  if (cluster_ != nullptr) hop.ends.service = cluster_->own().service.get();
  hop.ends.connected = upstream_ != nullptr;
  hop.cause = cause_;
  return hop;
}

void Session::count_moved() {
  uint64_t up = to_upstream_.bytes() - counted_up_bytes_;
  uint64_t down = to_downstream_.bytes() - counted_down_bytes_;
  if (up == 0 && down == 0) return;
  counted_up_bytes_ += up;
  counted_down_bytes_ += down;
  config_->hops->count_bytes(hop(), up, down, worker_.context_.worker, worker_.context_.loop.now_ns());
}

void Session::count_closed() {
  uint32_t worker = worker_.context_.worker;
  int64_t now_ns = worker_.context_.loop.now_ns();
  // One that never had an upstream was opened all the same.
  if (!opened_) config_->hops->count_opened(hop(), worker, now_ns);
  count_moved();
  config_->hops->count_closed(hop(), worker, now_ns);
}

void Session::log_access() {
  snapshot::PeerStorage down, up;
  std::string upstream_host;
  observe::RequestRecord record;
  const event::Loop& loop = worker_.context_.loop;
  record.start_ns = start_ns_;
  record.start_wall_ns = start_wall_ns_;
  record.end_ns = loop.now_ns();
  record.upstream_first_sent_ns = upstream_connected_ns_;
  record.request_body_bytes = downstream_->received_bytes();
  record.response_body_bytes = downstream_->sent_bytes();
  record.cause = cause_;
  record.cause_detail = detail_;
  record.attempts = attempts_;
  record.filter_chain_name = chain_.name;
  down.render(downstream_->info(), &record.downstream);
  record.downstream.connection_id = id_;
  if (cluster_ != nullptr) record.upstream_cluster = cluster_->name();
  if (host_ != nullptr) record.upstream_host = host_->address_text();
  if (upstream_ != nullptr) {
    record.upstream_sent_bytes = upstream_->sent_bytes();
    record.upstream_received_bytes = upstream_->received_bytes();
    up.render(upstream_->info(), &record.upstream);
    record.upstream_local_address = up.local;
  } else {
    record.upstream_transport_failure_reason = detail_;
  }
  for (const auto* logs : {&config_->access_logs, &listener_.access_logs}) {
    for (const auto& log : *logs) log->record(record, worker_.context_.worker);
  }
}

}  // namespace weft::tcp
