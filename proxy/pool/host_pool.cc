#include "proxy/pool/host_pool.h"

#include <algorithm>

#include "proxy/pool/cluster_pools.h"

namespace weft::pool {

using http::Cause;

namespace {

// What an HTTP/2 peer is taken to allow until its SETTINGS come, unless we allow ourselves less: what RFC 9113 (6.5.2)
// asks peers to allow at the least.
constexpr uint32_t kAssumedStreams = 100;

}  // namespace

HostPool::HostPool(ClusterPools& owner, cluster::HostPtr host, PoolProtocol protocol, cluster::Priority priority,
                   std::string_view server_name)
    : owner_(owner),
      cluster_(owner.cluster().weak_from_this().lock()),
      host_(std::move(host)),
      protocol_(protocol),
      priority_(priority),
      server_name_(server_name) {}

HostPool::~HostPool() {
  fail_waiters(Cause::kDraining, "the cluster was removed", SIZE_MAX);
  for (auto* list : {&ready_, &busy_, &connecting_}) {
    while (!list->empty()) list->front().close_now(codec::ResetReason::kConnectionClosed, Cause::kDraining);
  }
}

void HostPool::acquire(StreamWaiter& waiter) {
  // It waits for the one that begins here, or for another that is made meanwhile.
  if (waiter.wants_new_connection() && start_connection()) return take_waiter(waiter);
  while (!ready_.empty()) {
    Connection& connection = ready_.front();
    if (connection.can_start_stream()) return give(connection, waiter);
    // It ended, or its peer said that it will, earlier in this turn.
    set_aside(connection);
  }
  take_waiter(waiter);
}

void HostPool::give(Connection& connection, StreamWaiter& waiter) {
  waiter.leave_queue();
  codec::ClientStream& stream = connection.start_stream(waiter.response_events());
  place(connection);
  waiter.on_stream_ready(stream, connection);
}

void HostPool::place(Connection& connection) {
  connection.base::ListNode<Connection>::unlink();
  if (connection.can_start_stream()) {
    ready_.push_front(connection);
  } else {
    busy_.push_back(connection);
  }
}

void HostPool::take_waiter(StreamWaiter& waiter) {
  auto& stats = owner_.stats();
  if (!breakers().try_pending()) {
    stats.upstream_rq_pending_overflow.add();
    return waiter.on_stream_failed(Cause::kOverflowPending, {});
  }
  waiter.counted_in_ = &breakers();
  waiter.stats_ = &stats;
  stats.upstream_rq_pending_total.add();
  stats.upstream_rq_pending_active.add();
  waiters_.push_back(waiter);
  connect_as_needed();
}

uint32_t HostPool::streams_per_connection() {
  if (protocol_ == PoolProtocol::kHttp1 || protocol_ == PoolProtocol::kTunnel) return 1;
  if (!ready_.empty()) {
    learn_streams(ready_.front());
  } else if (!busy_.empty()) {
    learn_streams(busy_.back());
  }
  if (peer_streams_ != 0) return peer_streams_;
  return std::clamp(owner_.cluster().config().codec_limits.h2_max_concurrent_streams, 1u, kAssumedStreams);
}

void HostPool::learn_streams(const Connection& connection) {
  peer_streams_ = std::max(connection.max_concurrent_streams(), 1u);
}

cluster::Breakers& HostPool::breakers() { return owner_.cluster().breakers(priority_); }

size_t HostPool::waiting(size_t most) {
  size_t count = 0;
  for (auto waiter = waiters_.begin(); count < most && waiter != waiters_.end(); ++waiter) ++count;
  return count;
}

void HostPool::connect_as_needed() {
  size_t served = connecting_count_ * streams_per_connection();
  while (waiting(served + 1) > served && start_connection()) served = connecting_count_ * streams_per_connection();
}

bool HostPool::start_connection() {
  auto& stats = owner_.stats();
  if (!breakers().try_connection()) {
    stats.upstream_cx_overflow.add();
    // One connection is always allowed, or nothing could ever move.
    if (connections_ != 0) return false;
    breakers().force_connection();
  }
  stats.upstream_cx_total.add();
  stats.upstream_cx_active.add();
  host_->active_connections.fetch_add(1, std::memory_order_relaxed);
  host_->total_connections.fetch_add(1, std::memory_order_relaxed);
  auto* connection = new Connection(*this);
  connecting_.push_back(*connection);
  ++connections_;
  ++connecting_count_;
  connection->connect();
  return true;
}

void HostPool::on_connected(Connection& connection) {
  --connecting_count_;
  place(connection);
  serve_waiters(connection);
  // It may take fewer than were expected to share it: ALPN chose HTTP/1.
  if (!waiters_.empty()) connect_as_needed();
}

void HostPool::set_aside(Connection& connection) {
  connection.base::ListNode<Connection>::unlink();
  busy_.push_back(connection);
}

void HostPool::serve_waiters(Connection& connection) {
  while (!waiters_.empty() && connection.can_start_stream()) {
    StreamWaiter* waiter = next_waiter(connection);
    if (waiter == nullptr) return;
    give(connection, *waiter);
  }
}

StreamWaiter* HostPool::next_waiter(const Connection& connection) {
  // Who wants a new connection is passed over only while there is one under way to serve it.
  size_t to_come = connection.used() ? connecting_count_ : 0;
  for (StreamWaiter& waiter : waiters_) {
    if (to_come == 0 || !waiter.wants_new_connection()) return &waiter;
    --to_come;
  }
  return nullptr;
}

void HostPool::on_stream_closed(Connection& connection) {
  // Full, or not to be used again: out of the way of those who look for a ready one.
  if (!connection.can_start_stream()) return set_aside(connection);
  place(connection);
  serve_waiters(connection);
  if (retired_ && connection.open_streams() == 0) connection.drain();
}

void HostPool::on_connect_failed(Connection&, Cause cause, std::string_view detail) {
  // Those who would have got this connection; others wait for theirs.
  size_t served = connecting_count_ * streams_per_connection();
  size_t count = waiting(SIZE_MAX);
  fail_waiters(cause, detail, count > served ? count - served : 0);
}

void HostPool::fail_waiters(Cause cause, std::string_view detail, size_t most) {
  base::IntrusiveList<StreamWaiter, StreamWaiter> failed;
  for (size_t i = 0; i < most && !waiters_.empty(); ++i) {
    StreamWaiter& waiter = waiters_.pop_front();
    owner_.stats().upstream_rq_pending_failure_eject.add();
    failed.push_back(waiter);
  }
  while (!failed.empty()) {
    StreamWaiter& waiter = failed.front();
    waiter.leave_queue();
    waiter.on_stream_failed(cause, detail);
  }
}

void HostPool::on_ended(Connection& connection) {
  if (connection.version_unknown()) {
    --connecting_count_;
  } else {
    learn_streams(connection);
  }
  connection.base::ListNode<Connection>::unlink();
  --connections_;
  owner_.stats().upstream_cx_active.subtract();
  host_->active_connections.fetch_sub(1, std::memory_order_relaxed);
  breakers().connection_done();
  if (!waiters_.empty() || passing()) owner_.attend_later(*this);
}

void HostPool::drain() {
  for (auto* list : {&ready_, &busy_}) {
    for (Connection& connection : *list) connection.drain();
  }
}

void HostPool::retire() {
  retired_ = true;
  drain();
  if (!waiters_.empty()) return;
  while (!connecting_.empty()) connecting_.front().close_now(codec::ResetReason::kConnectionClosed, Cause::kDraining);
}

}  // namespace weft::pool
