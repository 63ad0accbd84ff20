#include "proxy/forward/attempt.h"

#include "proxy/base/free_list.h"
#include "proxy/forward/forwarder.h"

namespace weft::forward {
namespace {

constexpr size_t kMostKeptAttempts = 256;
thread_local base::FreeList<sizeof(Attempt), kMostKeptAttempts> free_attempts;

}  // namespace

void* Attempt::operator new(size_t) { return free_attempts.take(); }

void Attempt::operator delete(void* memory, size_t) { free_attempts.give(memory); }

Attempt::Attempt(Forwarder& owner, cluster::HostPtr host, bool on_new_connection)
    : owner_(owner),
      host_(std::move(host)),
      head_(owner.events_.arena()),
      per_try_timer_(owner.context_.loop.timers(), base::bind<&Attempt::on_per_try_timeout>(this)),
      on_new_connection_(on_new_connection),
      begun_ns_(owner.context_.loop.now_ns()) {
  host_->active_requests.fetch_add(1, std::memory_order_relaxed);
  host_->total_requests.fetch_add(1, std::memory_order_relaxed);
  auto& stats = owner_.cluster_->stats();
  stats.upstream_rq_total.add();
  stats.upstream_rq_active.add();
}

Attempt::~Attempt() { account_end(); }

void Attempt::account_end() {
  if (accounted_) return;
  accounted_ = true;
  host_->active_requests.fetch_sub(1, std::memory_order_relaxed);
  owner_.cluster_->cluster().breakers(priority()).request_done();
  auto& stats = owner_.cluster_->stats();
  stats.upstream_rq_active.subtract();
  if (head_.status != 0) {
    stats.upstream_rq_time.record(static_cast<uint64_t>((owner_.context_.loop.now_ns() - begun_ns_) / 1'000'000));
  }
}

void Attempt::abandon(codec::ResetReason reason) {
  per_try_timer_.disarm();
  if (over_) return;
  over_ = true;
  if (stream_ != nullptr) {
    owner_.cluster_->stats().upstream_rq_tx_reset.add();
    stream_->reset(reason);
    connection_->schedule_flush();
    account_end();
    return;
  }
  leave_queue();
  owner_.cluster_->stats().upstream_rq_cancelled.add();
  account_end();
  owner_.on_closed(*this);
}

void Attempt::let_go() {
  per_try_timer_.disarm();
  over_ = true;
  account_end();
}

bool Attempt::request_bytes_written() const {
  return stream_ != nullptr && connection_ != nullptr && connection_->request_bytes_written(*stream_);
}

base::Arena& Attempt::arena() { return owner_.events_.arena(); }

void Attempt::on_informational() {
  if (!over_ && owner_.current_ == this) owner_.events_.on_forward_informational(head_);
}

void Attempt::on_response_head(bool end) {
  if (over_) return;
  owner_.on_answer(*this, end);
}

void Attempt::on_body(base::Buffer& data, bool end) {
  if (over_ || owner_.committed_ != this) {
    data.clear();
    return;
  }
  owner_.record_.upstream_received_bytes += data.size();
  owner_.events_.on_forward_body(data, end);
  if (end) owner_.on_answer_end(*this);
}

void Attempt::on_trailers(http::HeaderMap& trailers) {
  if (over_ || owner_.committed_ != this) return;
  owner_.events_.on_forward_trailers(trailers);
  owner_.on_answer_end(*this);
}

void Attempt::on_reset(codec::ResetReason reason, http::Cause cause) {
  if (over_) return;
  let_go();
  owner_.on_failure(*this, reason, cause, {});
}

void Attempt::on_send_blocked(bool blocked) {
  if (!over_ && (owner_.committed_ == this || owner_.current_ == this)) owner_.block(blocked);
}

void Attempt::on_stream_closed() {
  over_ = true;
  stream_ = nullptr;
  connection_ = nullptr;
  per_try_timer_.disarm();
  account_end();
  owner_.on_closed(*this);
}

void Attempt::on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) {
  stream_ = &stream;
  connection_ = &connection;
  owner_.on_ready(*this);
}

void Attempt::on_stream_failed(http::Cause cause, std::string_view detail) {
  owner_.on_failure(*this, codec::ResetReason::kNone, cause, detail);
}

cluster::Priority Attempt::priority() const { return owner_.priority(); }

bool Attempt::wants_tunnel() const { return owner_.ends_connect(); }

http::Version Attempt::downstream_version() const { return owner_.request_.version; }

std::string_view Attempt::server_name() const { return http::host_of(owner_.request_.authority); }

void Attempt::on_per_try_timeout() { owner_.on_per_try_timeout(*this); }

}  // namespace weft::forward
