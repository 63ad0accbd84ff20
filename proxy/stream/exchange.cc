#include "proxy/stream/exchange.h"

#include <algorithm>
#include <new>

#include "proxy/base/weighted.h"
#include "proxy/forward/caller.h"
#include "proxy/observe/hop_reporter.h"
#include "proxy/route/rewrite.h"
#include "proxy/stream/prepare.h"

namespace weft::stream {

using http::Cause;
using http::HeaderId;

Exchange::PerRequest::PerRequest(Worker& worker, Exchange& exchange)
    : request(exchange.arena_),
      response(exchange.arena_),
      forwarder(worker.context(), exchange, request, exchange.record_) {}

Exchange::Exchange(Worker& worker)
    : worker_(worker),
      idle_timer_(worker.context().loop.timers(), base::bind<&Exchange::on_idle_timeout>(this)),
      request_timer_(worker.context().loop.timers(), base::bind<&Exchange::on_request_timeout>(this)),
      duration_timer_(worker.context().loop.timers(), base::bind<&Exchange::on_duration_over>(this)) {}

Exchange::~Exchange() { WEFT_ASSERT(recycled_); }

void Exchange::begin(Connection& connection, codec::ServerStream& handle) {
  recycled_ = false;
  connection_ = &connection;
  handle_ = &handle;
  phase_ = State::kReadingHead;
  request_ended_ = filter_paused_ = held_end_ = upgrade_counted_ = false;
  most_held_bytes_ = connection.http().limits.connection_buffer_high_bytes;
  route_ = nullptr;
  destination_ = nullptr;
  filters_ = nullptr;
  filter_count_ = next_filter_ = 0;
  request_trailers_ = nullptr;
  sent_head_ = nullptr;
  new_cookies_.clear();
  record_ = observe::RequestRecord();
  metadata_.clear();
  record_.metadata = &metadata_;
  auto& loop = worker_.context().loop;
  record_.start_ns = loop.now_ns();
  record_.start_wall_ns = loop.wall_ns();
  record_.downstream = connection.peer();
  record_.ends.downstream = connection.principals();
  record_.protocol = http::version_name(connection.version());
  record_.filter_chain_name = connection.chain().name;
  state_ = new (arena_.allocate(sizeof(PerRequest), alignof(PerRequest))) PerRequest(worker_, *this);
  auto& stats = connection.stats();
  stats.downstream_rq_total.add();
  stats.downstream_rq_active.add();
  (connection.version() == http::Version::kHttp2 ? stats.downstream_rq_http2_total : stats.downstream_rq_http1_total)
      .add();
  const auto& http = connection.http();
  if (http.request_timeout_ms != 0) request_timer_.arm(http.request_timeout_ms);
  touch();
}

void Exchange::step(Event event) {
  State next = next_state(phase_, event);
  WEFT_ASSERT(next != State::kError);
  phase_ = next;
}

void Exchange::touch() {
  int64_t timeout_ms = connection_->http().stream_idle_timeout_ms;
  if (route_ != nullptr && route_->forward != nullptr && route_->forward->idle_timeout_ms) {
    timeout_ms = *route_->forward->idle_timeout_ms;
  }
  if (timeout_ms != 0) {
    idle_timer_.arm(timeout_ms);
  } else {
    idle_timer_.disarm();
  }
}

void Exchange::on_request_head(bool end) {
  http::RequestHead& request = state_->request;
  step(Event::kHead);
  record_.request = &request;
  record_.protocol = http::version_name(request.version);
  record_.original_path = request.path;
  record_.request_head_bytes = request.headers.byte_size();
  if (end) {
    request_ended_ = true;
    record_.request_end_ns = worker_.context().loop.now_ns();
    request_timer_.disarm();
  }
  const auto& http = connection_->http();
  if (request.upgrade == "h2c") request.upgrade = {};  // RFC 9113, 3.1: no longer used; a server may ignore it.
  if (request.expects_continue && !http.proxy_100_continue) tell_to_continue();
  PrepareInput input{http, connection_->peer(), connection_->is_tls(), worker_.context().random,
                     connection_->client_certificate()};
  Prepared prepared = prepare_request(input, request);
  record_.downstream.remote_ip = prepared.remote_ip;
  if (http.hops != nullptr) take_peer_names();
  if (prepared.refused != Cause::kNone) return answer_with(prepared.refused, prepared.detail);
  if (!prepared.redirect_to.empty()) {
    connection_->stats().downstream_rq_redirected_with_normalized_path.add();
    http::ResponseHead head(arena_);
    head.status = 307;
    head.headers.add(HeaderId::kLocation, prepared.redirect_to);
    return reply(head, {}, Cause::kRedirect, {});
  }

  routes_ = http.route_slot == nullptr ? http.routes : worker_.routes_in(*http.route_slot);
  refresh_route();
  if (!http.filters.empty()) {
    filters_ = static_cast<filter::Filter**>(arena_.allocate(sizeof(filter::Filter*) * http.filters.size()));
    for (const auto& factory : http.filters) {
      if (filter::Filter* made = factory->make(*this)) filters_[filter_count_++] = made;
    }
  }
  run_filters();
}

void Exchange::tell_to_continue() {
  state_->request.expects_continue = false;
  http::ResponseHead interim(arena_);
  interim.status = 100;
  handle_->send_informational(interim);
  connection_->schedule_flush();
}

void Exchange::take_peer_names() {
  http::HeaderMap& headers = state_->request.headers;
  const http::Header* said = headers.find(observe::kPeerHeader);
  if (said == nullptr) return;
  const observe::ConnectionPrincipals* peer = connection_->principals();
  bool believed = connection_->http().hops->side() == observe::HopSide::kDestination && peer != nullptr && peer->mutual;
  if (believed) record_.ends.peer_names = said->value;
  headers.remove(observe::kPeerHeader);
}

void Exchange::refresh_route() {
  if (routes_ != nullptr) route_ = routes_->match(route::MatchInput{state_->request, worker_.context().random});
  record_.route_name = route_ == nullptr ? std::string_view() : route_->name;
  bool has_host = route_ != nullptr && route_->virtual_host != nullptr;
  record_.virtual_host = has_host ? route_->virtual_host->name : std::string_view();
  if (route_ != nullptr) touch();
}

void Exchange::run_filters() {
  while (next_filter_ < filter_count_) {
    filter::Filter& filter = *filters_[next_filter_];
    filter::Verdict verdict = filter.on_request_head(state_->request, request_ended_ && held_body_.empty());
    if (phase_ != State::kFiltering || verdict == filter::Verdict::kReply) return;
    ++next_filter_;
    if (verdict == filter::Verdict::kPause) {
      filter_paused_ = true;
      return;
    }
  }
  route_request();
}

void Exchange::want_body(uint64_t bytes) {
  most_held_bytes_ = std::max(most_held_bytes_, bytes);
  if (state_->request.expects_continue) tell_to_continue();
}

void Exchange::tell_held_body() {
  if (filter_paused_ && phase_ == State::kFiltering) filters_[next_filter_ - 1]->on_held_body();
}

void Exchange::resume() {
  if (!filter_paused_ || phase_ != State::kFiltering) return;
  filter_paused_ = false;
  run_filters();
  if (phase_ != State::kForwarding && phase_ != State::kAnswering) return;
  bool end = held_end_;
  if (!held_body_.empty() || end) pass_request_body(held_body_, end && request_trailers_ == nullptr);
  if (request_trailers_ != nullptr) pass_request_trailers();
  pause(false);
}

void Exchange::route_request() {
  if (route_ == nullptr) {
    connection_->stats().no_route.add();
    if (routes_ != nullptr) return answer_with(Cause::kNoRoute, {});
    const std::string& name = connection_->http().route_slot->name();
    return answer_with(Cause::kNoRoute, arena_.concat("the route configuration \"", name, "\" has not come yet"));
  }
  const route::VirtualHost* host = route_->virtual_host;
  using RequireTls = route::VirtualHost::RequireTls;
  http::ResponseHead head(arena_);
  bool exempt = host == nullptr || host->require_tls == RequireTls::kNone ||
                (host->require_tls == RequireTls::kExternalOnly &&
                 state_->request.headers.value(HeaderId::kXEnvoyInternal) == "true");
  if (!exempt && state_->request.headers.value(HeaderId::kXForwardedProto) != "https") {
    head.status = 301;
    head.headers.add_static(HeaderId::kLocation,
                            arena_.concat("https://", state_->request.authority, state_->request.path));
    connection_->stats().rq_redirect.add();
    return reply(head, {}, Cause::kRedirect, {});
  }
  if (route_->redirect != nullptr) {
    head.status = route_->redirect->status;
    head.headers.add_static(HeaderId::kLocation,
                            route::redirect_location(*route_->redirect, *route_, state_->request, arena_));
    connection_->stats().rq_redirect.add();
    return reply(head, {}, Cause::kRedirect, {});
  }
  if (route_->direct_response != nullptr) {
    head.status = route_->direct_response->status;
    if (!route_->direct_response->body.empty()) head.headers.add_static(HeaderId::kContentType, "text/plain");
    connection_->stats().rq_direct_response.add();
    return reply(head, route_->direct_response->body, Cause::kDirectResponse, {});
  }
  forward_request(*route_->forward);
}

bool Exchange::upgrade_allowed(const route::ClusterAction& action) const {
  std::string_view asked = state_->request.upgrade.empty() ? "connect" : state_->request.upgrade;
  auto names = [&](const std::vector<std::string>& list) {
    for (const std::string& each : list) {
      if (http::equals_ignoring_case(each, asked)) return true;
    }
    return false;
  };
  if (names(action.refused_upgrades)) return false;
  return names(action.allowed_upgrades) || names(connection_->http().upgrades);
}

pool::WorkerCluster* Exchange::choose_cluster(const route::ClusterAction& action, std::string_view* name) {
  pool::WorkerUpstreams& upstreams = worker_.context().upstreams;
  if (!action.cluster_header.empty()) {
    destination_ = &action.clusters[0];
    const http::Header* named = state_->request.headers.find(action.cluster_header);
    if (named == nullptr) return nullptr;
    *name = named->value;
    return upstreams.find(named->value);
  }
  uint64_t draw = action.clusters.size() > 1 ? worker_.context().random.below(action.total_weight) : 0;
  destination_ = &base::by_weight(action.clusters, draw);
  *name = destination_->name;
  return upstreams.find(*destination_->slot);
}

void Exchange::forward_request(const route::ClusterAction& action) {
  http::RequestHead& request = state_->request;
  auto& stats = connection_->stats();
  if (request.is_tunnel()) {
    if (!upgrade_allowed(action)) {
      stats.downstream_rq_ws_on_non_ws_route.add();
      return answer_with(Cause::kUpgradeNotAllowed, request.upgrade);
    }
    stats.downstream_cx_upgrades_total.add();
    stats.downstream_cx_upgrades_active.add();
    upgrade_counted_ = true;
  }
  std::string_view name;
  pool::WorkerCluster* cluster = choose_cluster(action, &name);
  if (cluster == nullptr) {
    stats.no_cluster.add();
    return answer_with(Cause::kNoCluster, name, action.cluster_not_found_status);
  }
  stats.rq_total.add();
  apply_request_mutations(*destination_);

  const auto& http = connection_->http();
  forward::ForwardPlan plan;
  plan.action = &action;
  plan.cluster = cluster;
  plan.deadlines =
      forward::deadlines_of(action, request, http.max_stream_duration_ms, http.respect_expected_rq_timeout);
  plan.callers_retry = forward::obey_caller(request, action.retry ? &*action.retry : nullptr, plan.deadlines);
  plan.replay_limit_bytes = route_->has_per_request_buffer_limit ? route_->per_request_buffer_limit_bytes
                                                                 : http.limits.connection_buffer_high_bytes;
  if (!action.hash_policies.empty() && cluster->cluster().config().hashes()) {
    std::string local = connection_->info().local.to_string();
    const observe::PeerTexts& peer = connection_->peer();
    route::HashInput input{request, record_.downstream.remote_ip, peer.remote_address, local};
    plan.hash = route::request_hash(action.hash_policies, input, &new_cookies_);
  }
  plan.name_ends = http.hops != nullptr;
  if (plan.name_ends && http.hops->side() == observe::HopSide::kSource) say_peer_names(*cluster);
  if (connection_->info().local_restored) plan.original_destination = &connection_->info().local;
  plan.send_expected_timeout = !http.suppress_envoy_headers;
  plan.include_attempt_count = route_->virtual_host != nullptr && route_->virtual_host->include_request_attempt_count;
  if (plan.deadlines.stream_duration_ms != 0) duration_timer_.arm(plan.deadlines.stream_duration_ms);
  step(Event::kForward);
  bool end = request_ended_ && held_body_.empty() && request_trailers_ == nullptr;
  if (!action.mirrors.empty()) mirror_request(action, plan, end);
  state_->forwarder.start(plan, end);
}

void Exchange::say_peer_names(pool::WorkerCluster& cluster) {
  const observe::ServiceIdentity* service = cluster.cluster().own().service.get();
  const std::string& names = connection_->http().hops->peer_header();
  if (names.empty() || service == nullptr || service->external) return;
  state_->request.headers.add_view(HeaderId::kOther, observe::kPeerHeader, names);
}

void Exchange::mirror_request(const route::ClusterAction& action, const forward::ForwardPlan& plan, bool end) {
  if (state_->request.is_tunnel()) return;
  for (const route::Mirror& mirror : action.mirrors) {
    bool drawn = mirror.denominator == 0 || worker_.context().random.below(mirror.denominator) < mirror.numerator;
    pool::WorkerCluster* cluster = drawn ? worker_.context().upstreams.find(*mirror.destination.slot) : nullptr;
    if (cluster == nullptr) continue;
    auto* shadow = new forward::Shadow(worker_.context(), mirror, routes_, state_->request);
    worker_.add_shadow(*shadow);
    if (!end) shadows_.push_back(*shadow);
    shadow->start(*cluster, plan, end);
  }
}

void Exchange::pass_request_body(base::Buffer& data, bool end) {
  for (size_t i = 0; i < filter_count_; ++i) {
    if (filters_[i]->on_request_body(data, end) == filter::Verdict::kReply) return;
  }
  for (forward::Shadow& shadow : shadows_) shadow.send_body(data, end);
  state_->forwarder.send_body(data, end);
}

void Exchange::on_body(base::Buffer& data, bool end) {
  touch();
  if (end) {
    request_ended_ = true;
    record_.request_end_ns = worker_.context().loop.now_ns();
    request_timer_.disarm();
  }
  switch (phase_) {
    case State::kFiltering:
      held_body_.move_from(data);
      held_end_ = held_end_ || end;
      if (held_body_.size() > most_held_bytes_) pause(true);
      return tell_held_body();
    case State::kForwarding:
    case State::kAnswering:
      return pass_request_body(data, end);
    default:
      // A tunnel's halves end apart.
      if (phase_ == State::kAnswered && state_->forwarder.started() && in_tunnel()) return pass_request_body(data, end);
      data.clear();
  }
}

void Exchange::on_trailers(http::HeaderMap& trailers) {
  touch();
  request_ended_ = true;
  record_.request_end_ns = worker_.context().loop.now_ns();
  request_timer_.disarm();
  request_trailers_ = &trailers;
  if (phase_ == State::kForwarding || phase_ == State::kAnswering) return pass_request_trailers();
  tell_held_body();
}

void Exchange::pass_request_trailers() {
  for (forward::Shadow& shadow : shadows_) shadow.send_trailers(*request_trailers_);
  state_->forwarder.send_trailers(*request_trailers_);
}

void Exchange::pause(bool paused) {
  if (handle_ == nullptr) return;
  handle_->pause_receiving(paused);
  if (!paused) connection_->schedule_flush();
}

void Exchange::on_forward_blocked(bool blocked) { pause(blocked); }

void Exchange::on_send_blocked(bool blocked) { state_->forwarder.pause_response(blocked); }

void Exchange::on_reset(codec::ResetReason reason, http::Cause cause) {
  bool answerable = reason == codec::ResetReason::kProtocolError || reason == codec::ResetReason::kMessageTooLarge;
  if (state_->forwarder.started()) state_->forwarder.cancel();
  if (answerable && (phase_ == State::kReadingHead || phase_ == State::kFiltering || phase_ == State::kForwarding)) {
    return answer_with(cause, {});
  }
  connection_->stats().downstream_rq_rx_reset.add();
  if (phase_ != State::kAnswered && record_.cause == Cause::kNone) record_.cause = cause;
  step(Event::kReset);
}

void Exchange::on_stream_closed() {
  handle_ = nullptr;
  // Copies of a request that came whole go on without it.
  while (!shadows_.empty()) {
    forward::Shadow& shadow = shadows_.pop_front();
    if (!request_ended_) shadow.cancel();
  }
  if (state_->forwarder.started()) state_->forwarder.cancel();
  record_.end_ns = worker_.context().loop.now_ns();
  if (record_.request == nullptr && !state_->request.method.empty()) record_.request = &state_->request;
  record_.response = sent_head_;
  auto& stats = connection_->stats();
  stats.downstream_rq_active.subtract();
  if (upgrade_counted_) stats.downstream_cx_upgrades_active.subtract();
  stats.downstream_rq_time.record(static_cast<uint64_t>((record_.end_ns - record_.start_ns) / 1'000'000));
  for (size_t i = 0; i < filter_count_; ++i) {
    filters_[i]->on_done();
    filters_[i]->~Filter();
  }
  filter_count_ = 0;
  // What never became a request is none.
  const observe::HopReporter* hops = connection_->http().hops.get();
  if (hops != nullptr && (record_.request != nullptr || record_.status != 0)) {
    hops->count_request(record_, worker_.context().worker);
  }
  for (const auto& log : connection_->http().access_logs) log->record(record_, worker_.context().worker);
  idle_timer_.disarm();
  request_timer_.disarm();
  duration_timer_.disarm();
  connection_->on_exchange_closed();
  connection_ = nullptr;
  finish();
}

void Exchange::finish() {
  if (handle_ == nullptr && state_->forwarder.idle()) worker_.context().loop.at_turn_end(*this);
}

void Exchange::on_forward_idle() {
  // A tunnel whose far end has gone leads nowhere.
  if (handle_ != nullptr && phase_ == State::kAnswered && !request_ended_ && in_tunnel()) {
    handle_->reset(codec::ResetReason::kNone);
    connection_->schedule_flush();
  }
  finish();
}

void Exchange::on_turn_end() {
  if (handle_ != nullptr || recycled_ || !state_->forwarder.idle()) return;
  state_->~PerRequest();
  state_ = nullptr;
  routes_.reset();
  held_body_.clear();
  arena_.reset();
  recycled_ = true;
  worker_.give_exchange(this);
}

void Exchange::on_idle_timeout() {
  connection_->stats().downstream_rq_idle_timeout.add();
  if (state_->forwarder.started()) state_->forwarder.cancel();
  answer_with(Cause::kStreamIdleTimeout, {}, request_ended_ ? 504 : 408);
}

void Exchange::on_request_timeout() {
  connection_->stats().downstream_rq_timeout.add();
  if (state_->forwarder.started()) state_->forwarder.cancel();
  answer_with(Cause::kRequestTimeout, {});
}

void Exchange::on_duration_over() {
  connection_->stats().downstream_rq_max_duration_reached.add();
  if (state_->forwarder.started()) state_->forwarder.cancel();
  answer_with(Cause::kMaxStreamDuration, {});
}

}  // namespace weft::stream
