#include "proxy/forward/forwarder.h"

#include <algorithm>
#include <charconv>

#include "proxy/forward/websocket.h"

namespace weft::forward {
namespace {

using http::Cause;
using http::HeaderId;

// Tries that were provably not processed are repeated at once; a peer that refuses every one of them ends this.
constexpr uint32_t kMaxFreeRetries = 3;
// Without a retry policy a body is only kept for such free repeats.
constexpr uint64_t kFreeReplayBytes = 64 * 1024;
constexpr std::string_view kWebSocketKey = "sec-websocket-key";
constexpr std::string_view kWebSocketAccept = "sec-websocket-accept";

std::optional<int> grpc_status_in(const http::HeaderMap& headers) {
  std::string_view text = headers.value(HeaderId::kGrpcStatus);
  int status = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return status;
}

// The host is still one of the cluster's, and nothing has taken it out. Hosts of original destinations never are; their
// balancer finds the same one again.
bool takes_requests(const cluster::Cluster& cluster, const cluster::Host& host) {
  if (!host.available()) return false;
  cluster::HostSetPtr set = cluster.hosts();
  return std::any_of(set->priorities.begin(), set->priorities.end(), [&](const auto& hosts) {
    return std::any_of(hosts.begin(), hosts.end(), [&](const auto& each) { return each.get() == &host; });
  });
}

}  // namespace

Forwarder::Forwarder(pool::WorkerContext& context, ForwardEvents& events, http::RequestHead& request,
                     observe::RequestRecord& record)
    : context_(context),
      events_(events),
      request_(request),
      record_(record),
      route_timer_(context.loop.timers(), base::bind<&Forwarder::on_route_timeout>(this)),
      back_off_timer_(context.loop.timers(), base::bind<&Forwarder::on_back_off_over>(this)) {}

Forwarder::~Forwarder() {
  WEFT_ASSERT(attempts_.empty());
  finish();
  if (cluster_ != nullptr) cluster_->release();
}

cluster::Priority Forwarder::priority() const {
  return plan_.action->priority == route::PriorityClass::kHigh ? cluster::Priority::kHigh : cluster::Priority::kDefault;
}

bool Forwarder::ends_connect() const {
  return plan_.action->ends_connect && request_.method_id == http::Method::kConnect && request_.upgrade.empty();
}

void Forwarder::finish() {
  finished_ = true;
  route_timer_.disarm();
  back_off_timer_.disarm();
  replay_.clear();
  if (!retry_held_) return;
  retry_held_ = false;
  cluster_->cluster().breakers(priority()).retry_done();
}

void Forwarder::start(const ForwardPlan& plan, bool end) {
  plan_ = plan;
  cluster_ = plan_.cluster;
  cluster_->hold();
  record_.upstream_cluster = cluster_->cluster().name();
  record_.ends.service = cluster_->cluster().own().service.get();
  if (plan_.deadlines.stream_duration_ms != 0) {
    stream_deadline_ms_ = context_.loop.now_ms() + plan_.deadlines.stream_duration_ms;
  }
  if (plan_.retry() == nullptr) plan_.replay_limit_bytes = std::min(plan_.replay_limit_bytes, kFreeReplayBytes);
  if (end) request_ended();
  begin_try();
}

void Forwarder::request_ended() {
  request_ended_ = true;
  if (plan_.deadlines.request_timeout_ms == 0 || request_.is_tunnel()) return;
  request_deadline_ms_ = context_.loop.now_ms() + plan_.deadlines.request_timeout_ms;
  if (!finished_) route_timer_.arm(plan_.deadlines.request_timeout_ms);
}

int64_t Forwarder::remaining_ms() const {
  int64_t deadline_ms = INT64_MAX;
  if (request_deadline_ms_ != 0) deadline_ms = request_deadline_ms_;
  if (stream_deadline_ms_ != 0) deadline_ms = std::min(deadline_ms, stream_deadline_ms_);
  return deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - context_.loop.now_ms();
}

void Forwarder::begin_try() {
  if (remaining_ms() <= 0) return fail(Cause::kDeadlinePassed, {});
  bool on_new_connection = stale_host_ != nullptr;
  cluster::HostPtr host = std::exchange(stale_host_, nullptr);
  if (host == nullptr || !takes_requests(cluster_->cluster(), *host)) host = choose_host();
  if (host == nullptr) return;
  if (!cluster_->cluster().breakers(priority()).try_request()) {
    cluster_->stats().upstream_rq_pending_overflow.add();
    return fail(Cause::kOverflowRequests, cluster_->cluster().name());
  }
  if (tried_count_ < std::size(tried_hosts_)) tried_hosts_[tried_count_++] = host.get();
  ++record_.attempts;
  record_.upstream_host = host->address_text();
  record_.ends.workload = host->identity();
  if (plan_.action->auto_host_rewrite && !host->hostname().empty()) {
    request_.authority = events_.arena().copy(host->hostname());
  }
  auto* attempt = new Attempt(*this, host, on_new_connection);
  attempts_.push_back(*attempt);
  current_ = attempt;
  cluster_->acquire_stream(host, *attempt);
}

cluster::HostPtr Forwarder::choose_host() {
  pool::BalanceContext balance;
  balance.hash = plan_.hash;
  balance.original_destination = plan_.original_destination;
  const route::RetryPolicy* policy = plan_.retry();
  if (policy != nullptr && policy->omit_previous_hosts) {
    balance.avoid = tried_hosts_;
    balance.avoid_count = tried_count_;
    balance.avoid_tries = policy->host_selection_max_attempts;
  }
  cluster::HostPtr host = cluster_->choose_host(balance);
  if (host == nullptr) {
    cluster_->stats().upstream_cx_none_healthy.add();
    fail(pool::no_host_cause(cluster_->cluster(), balance), cluster_->cluster().name());
  }
  return host;
}

void Forwarder::set_remaining_time() {
  char text[24];
  int64_t left_ms = remaining_ms();
  if (plan_.deadlines.request_timeout_ms != 0 && request_deadline_ms_ == 0) {
    left_ms = std::min(left_ms, plan_.deadlines.request_timeout_ms);
  }
  if (left_ms != INT64_MAX && request_.headers.has(HeaderId::kGrpcTimeout)) {
    std::optional<int64_t> asked_ms = parse_grpc_timeout_ms(request_.headers.value(HeaderId::kGrpcTimeout));
    if (asked_ms && *asked_ms > left_ms) {
      request_.headers.set(HeaderId::kGrpcTimeout, format_grpc_timeout(left_ms, text));
    }
  }
  if (plan_.deadlines.per_try_timeout_ms != 0) left_ms = std::min(left_ms, plan_.deadlines.per_try_timeout_ms);
  if (left_ms != INT64_MAX && plan_.send_expected_timeout) {
    char* end = std::to_chars(text, text + sizeof(text), left_ms).ptr;
    request_.headers.set(HeaderId::kXEnvoyExpectedRqTimeoutMs, {text, static_cast<size_t>(end - text)});
  }
  if (plan_.include_attempt_count) {
    char* end = std::to_chars(text, text + sizeof(text), record_.attempts).ptr;
    request_.headers.set(HeaderId::kXEnvoyAttemptCount, {text, static_cast<size_t>(end - text)});
  }
}

void Forwarder::on_ready(Attempt& attempt) {
  pool::UpstreamConnection& connection = *attempt.connection();
  record_.upstream_connection_id = connection.id();
  if (!ends_connect()) record_.upstream_protocol = http::version_name(connection.version());
  record_.upstream_local_address = connection.local_address_text();
  if (plan_.name_ends) {
    named_connection_ = connection.principals();
    record_.ends.upstream = named_connection_.get();
    record_.ends.connected = true;
  }
  if (request_.is_tunnel()) {
    // What a tunnel carries is nobody's to repeat.
    replayable_ = false;
    std::string_view wrong = begin_upgrade(attempt);
    if (!wrong.empty()) return give_up(attempt, Cause::kBadRequest, wrong);
  }
  send_request(attempt);
}

std::string_view Forwarder::begin_upgrade(Attempt& attempt) {
  bool from_http2 = request_.method_id == http::Method::kConnect;
  bool to_http2 = attempt.connection()->version() == http::Version::kHttp2;
  if (from_http2 == to_http2 || !http::equals_ignoring_case(request_.upgrade, "websocket")) return {};
  if (from_http2) {
    std::string key = websocket_key(context_.random);
    request_.headers.set(kWebSocketKey, key);
    websocket_accept_ = events_.arena().copy(websocket_accept(key));
    return {};
  }
  const http::Header* key = request_.headers.find(kWebSocketKey);
  if (key == nullptr) return "the WebSocket request has no Sec-WebSocket-Key";
  websocket_accept_ = events_.arena().copy(websocket_accept(key->value));
  request_.headers.remove(kWebSocketKey);
  return {};
}

std::string_view Forwarder::finish_upgrade(Attempt& attempt) {
  http::ResponseHead& head = attempt.head();
  bool extended_connect = request_.method_id == http::Method::kConnect && !request_.upgrade.empty();
  // Passed on, it would tell the client that the tunnel stands.
  if (extended_connect && head.status / 100 == 2) return "it did not switch protocols";
  if (head.status != 101 || websocket_accept_.empty()) return {};
  if (!extended_connect) {
    head.headers.set(kWebSocketAccept, websocket_accept_);
    return {};
  }
  const http::Header* proof = head.headers.find(kWebSocketAccept);
  if (proof == nullptr || proof->value != websocket_accept_) return "its Sec-WebSocket-Accept does not fit our key";
  head.headers.remove(kWebSocketAccept);
  return {};
}

void Forwarder::give_up(Attempt& attempt, http::Cause cause, std::string_view detail) {
  current_ = nullptr;
  attempt.abandon(codec::ResetReason::kCancel);
  fail(cause, detail);
}

void Forwarder::send_request(Attempt& attempt) {
  if (record_.upstream_first_sent_ns == 0) record_.upstream_first_sent_ns = context_.loop.now_ns();
  set_remaining_time();
  codec::ClientStream& stream = *attempt.stream();
  bool body_held = !replay_.empty();
  stream.send_head(request_, request_ended_ && !body_held && trailers_ == nullptr);
  if (body_held && attempt.open()) {
    base::Buffer body;
    // What waited for the connection and is more than may be replayed is sent once; else its source would stay paused.
    if (replay_.size() > plan_.replay_limit_bytes) replayable_ = false;
    if (replayable_) {
      body.share_from(replay_);
    } else {
      body.move_from(replay_);
    }
    record_.upstream_sent_bytes += body.size();
    stream.send_body(body, request_ended_ && trailers_ == nullptr);
  }
  if (trailers_ != nullptr && attempt.open()) stream.send_trailers(*trailers_);
  if (request_ended_) record_.upstream_last_sent_ns = context_.loop.now_ns();
  if (plan_.deadlines.per_try_timeout_ms != 0) attempt.arm_per_try_timer(plan_.deadlines.per_try_timeout_ms);
  attempt.connection()->schedule_flush();
  if (blocked_ && (!replayable_ || replay_.size() <= plan_.replay_limit_bytes)) block(false);
}

void Forwarder::hold_body(base::Buffer& data) {
  replay_.move_from(data);
  if (replay_.size() > plan_.replay_limit_bytes) block(true);
}

void Forwarder::send_body(base::Buffer& data, bool end) {
  record_.request_body_bytes += data.size();
  if (finished_) {
    data.clear();
    return;
  }
  if (end) request_ended();
  Attempt* target = committed_ != nullptr ? committed_ : current_;
  if (target == nullptr || !target->open()) {
    // Nobody to send to yet (or again): it waits here, and its source is paused above the limit.
    if (committed_ != nullptr) {
      data.clear();
    } else {
      hold_body(data);
    }
    return;
  }
  if (replayable_ && committed_ == nullptr) {
    if (replay_.size() + data.size() <= plan_.replay_limit_bytes) {
      replay_.share_from(data);
    } else {
      replayable_ = false;
      replay_.clear();
    }
  }
  record_.upstream_sent_bytes += data.size();
  if (end) record_.upstream_last_sent_ns = context_.loop.now_ns();
  target->stream()->send_body(data, end);
  target->connection()->schedule_flush();
}

void Forwarder::send_trailers(const http::HeaderMap& trailers) {
  if (finished_) return;
  trailers_ = &trailers;
  request_ended();
  Attempt* target = committed_ != nullptr ? committed_ : current_;
  if (target == nullptr || !target->open()) return;
  record_.upstream_last_sent_ns = context_.loop.now_ns();
  target->stream()->send_trailers(trailers);
  target->connection()->schedule_flush();
}

void Forwarder::block(bool blocked) {
  if (blocked_ == blocked) return;
  blocked_ = blocked;
  auto& stats = cluster_->stats();
  (blocked ? stats.upstream_flow_control_paused_reading_total : stats.upstream_flow_control_resumed_reading_total)
      .add();
  events_.on_forward_blocked(blocked);
}

void Forwarder::pause_response(bool paused) {
  response_paused_ = paused;
  if (committed_ == nullptr || !committed_->open()) return;
  committed_->stream()->pause_receiving(paused);
  // Lets the connection go on with what it had left unread.
  if (!paused) committed_->connection()->schedule_flush();
}

void Forwarder::on_answer(Attempt& attempt, bool end) {
  http::ResponseHead& head = attempt.head();
  auto& stats = cluster_->stats();
  attempt.disarm_per_try_timer();
  observe::count_answer(stats, head.status);
  cluster_->cluster().report(*attempt.host(), head.status, Cause::kNone, context_.loop.now_ms(), context_.worker);

  if (request_.is_tunnel()) {
    std::string_view wrong = finish_upgrade(attempt);
    if (!wrong.empty()) return give_up(attempt, Cause::kUpstreamProtocolError, wrong);
  }
  TryOutcome outcome;
  outcome.answered = true;
  outcome.status = head.status;
  outcome.answer_ended = end;
  outcome.head = &head;
  if (end) outcome.grpc_status = grpc_status_in(head.headers);
  outcome.envoy_rate_limited = head.headers.has(HeaderId::kXEnvoyRateLimited);
  if (head.status != 101 && retry(&attempt, outcome)) return;

  if (policy_retries_ != 0 && head.status < 500) stats.upstream_rq_retry_success.add();
  current_ = nullptr;
  committed_ = &attempt;
  replay_.clear();
  replayable_ = false;
  record_.upstream_first_received_ns = context_.loop.now_ns();
  if (head.status == 101 || request_.is_tunnel()) route_timer_.disarm();
  if (response_paused_ && !end) attempt.stream()->pause_receiving(true);
  events_.on_forward_head(head, end);
  if (end) on_answer_end(attempt);
}

void Forwarder::on_answer_end(Attempt& attempt) {
  record_.upstream_last_received_ns = context_.loop.now_ns();
  // A tunnel's halves end apart.
  if (!request_ended_ && request_.opens_tunnel(attempt.head().status)) return;
  finish();
  attempt.account_end();
  // The answer came before the request's end: what is left of the request is not wanted.
  if (!request_ended_) attempt.abandon(codec::ResetReason::kNone);
}

void Forwarder::on_failure(Attempt& attempt, codec::ResetReason reason, http::Cause cause, std::string_view detail) {
  attempt.disarm_per_try_timer();
  auto& stats = cluster_->stats();
  if (reason != codec::ResetReason::kNone) stats.upstream_rq_rx_reset.add();
  cluster_->cluster().report(*attempt.host(), 0, cause, context_.loop.now_ms(), context_.worker);
  if (!detail.empty()) record_.upstream_transport_failure_reason = events_.arena().copy(detail);

  if (&attempt == committed_) {
    attempt.abandon(reason);
    return fail(cause, detail);
  }
  TryOutcome outcome;
  outcome.cause = cause;
  outcome.reason = reason;
  outcome.request_bytes_written = attempt.request_bytes_written();
  outcome.had_new_connection = had_new_connection_;
  if (retry(&attempt, outcome)) return;
  current_ = nullptr;
  attempt.abandon(reason);
  fail(cause, record_.upstream_transport_failure_reason);
}

bool Forwarder::retry(Attempt* failed, const TryOutcome& outcome) {
  const route::RetryPolicy* policy = plan_.retry();
  RetryVerdict verdict = retry_verdict(policy, request_, outcome);
  if (verdict == RetryVerdict::kNo || finished_) return false;
  auto& stats = cluster_->stats();
  if (!replayable_) {
    stats.retry_or_shadow_abandoned.add();
    return false;
  }
  int64_t delay_ms = 0;
  if (verdict == RetryVerdict::kFree) {
    if (free_retries_ == kMaxFreeRetries) return false;
    ++free_retries_;
  } else if (verdict == RetryVerdict::kOnNewConnection) {
    had_new_connection_ = true;
  } else {
    if (policy_retries_ == policy->num_retries) {
      stats.upstream_rq_retry_limit_exceeded.add();
      record_.retry_limit_exceeded = true;
      return false;
    }
    if (!retry_held_) {
      if (!cluster_->cluster().breakers(priority()).try_retry()) {
        stats.upstream_rq_retry_overflow.add();
        return false;
      }
      retry_held_ = true;
    }
    ++policy_retries_;
    delay_ms = back_off_ms(*policy, policy_retries_, context_.random);
    stats.upstream_rq_retry_backoff_exponential.add();
  }
  if (delay_ms >= remaining_ms()) return false;
  if (verdict == RetryVerdict::kOnNewConnection) {
    stale_host_ = failed->host();
    stats.upstream_rq_retry_stale_connection.add();
  }
  stats.upstream_rq_retry.add();
  record_.retried = true;
  current_ = nullptr;
  // Never from within the callback of the connection that failed.
  back_off_timer_.arm(delay_ms);
  if (outcome.answered && outcome.answer_ended && request_ended_) {
    failed->let_go();
  } else {
    failed->abandon(codec::ResetReason::kCancel);
  }
  return true;
}

void Forwarder::on_back_off_over() {
  if (!finished_) begin_try();
}

void Forwarder::on_per_try_timeout(Attempt& attempt) {
  auto& stats = cluster_->stats();
  stats.upstream_rq_per_try_timeout.add();
  cluster_->cluster().report(*attempt.host(), 0, Cause::kPerTryTimeout, context_.loop.now_ms(), context_.worker);
  TryOutcome outcome;
  outcome.cause = Cause::kPerTryTimeout;
  outcome.request_bytes_written = true;
  if (retry(&attempt, outcome)) return;
  current_ = nullptr;
  attempt.abandon(codec::ResetReason::kCancel);
  fail(Cause::kPerTryTimeout, {});
}

void Forwarder::on_route_timeout() {
  if (finished_) return;
  cluster_->stats().upstream_rq_timeout.add();
  Attempt* open = committed_ != nullptr ? committed_ : current_;
  if (open != nullptr) {
    cluster_->cluster().report(*open->host(), 0, Cause::kRouteTimeout, context_.loop.now_ms(), context_.worker);
    current_ = nullptr;
    open->abandon(codec::ResetReason::kCancel);
  }
  fail(Cause::kRouteTimeout, {});
}

void Forwarder::fail(http::Cause cause, std::string_view detail) {
  if (finished_) return;
  finish();
  events_.on_forward_failed(cause, detail);
}

void Forwarder::cancel() {
  finish();
  current_ = nullptr;
  committed_ = nullptr;
  for (Attempt& attempt : attempts_) attempt.abandon(codec::ResetReason::kCancel);
}

void Forwarder::on_closed(Attempt& attempt) {
  if (current_ == &attempt) current_ = nullptr;
  if (committed_ == &attempt) {
    committed_ = nullptr;
    finish();
  }
  // The last one that was tried.
  if (attempt.host()->address_text().data() == record_.upstream_host.data()) named_host_ = attempt.take_host();
  delete &attempt;
  if (idle()) events_.on_forward_idle();
}

}  // namespace weft::forward
