#include "proxy/cluster/health_session.h"

#include <algorithm>
#include <charconv>

#include "proxy/codec/http1/http1.h"
#include "proxy/codec/http2/http2.h"

namespace weft::cluster {
namespace {

using State = transport::IoResult::State;

constexpr size_t kReadBytes = 16 * 1024;
constexpr size_t kMaxAnswerBytes = 64 * 1024;
constexpr int kGrpcServing = 1;  // grpc.health.v1.HealthCheckResponse.ServingStatus

// Keeps a connection's objects until nobody is inside of them.
struct Remains final : event::Deferred {
  Remains(std::unique_ptr<transport::ByteStream> stream, std::unique_ptr<codec::ClientCodec> codec)
      : stream(std::move(stream)), codec(std::move(codec)) {}
  std::unique_ptr<transport::ByteStream> stream;
  std::unique_ptr<codec::ClientCodec> codec;
};

// grpc.health.v1.HealthCheckRequest{service = 1} as one length-prefixed message.
std::string grpc_request(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';
    size_t size = service.size();
    for (; size >= 0x80; size >>= 7) message += static_cast<char>(size | 0x80);
    message += static_cast<char>(size);
    message += service;
  }
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(message.size() >> shift);
  return framed + message;
}

// The `status` (field 1, a varint) of a framed HealthCheckResponse; -1 when there is none to be found.
int grpc_serving_status(std::string_view framed) {
  if (framed.size() < 5 || framed[0] != '\0') return -1;
  uint32_t size = 0;
  for (int i = 1; i <= 4; ++i) size = size << 8 | static_cast<uint8_t>(framed[i]);
  std::string_view message = framed.substr(5);
  if (message.size() < size) return -1;
  if (size == 0) return 0;
  return size >= 2 && message[0] == '\x08' ? static_cast<uint8_t>(message[1]) : -1;
}

}  // namespace

HealthSession::HealthSession(HealthChecker& owner, const HealthCheckPolicy& policy, HostPtr host)
    : owner_(owner),
      policy_(policy),
      host_(std::move(host)),
      interval_timer_(owner.loop_.timers(), base::bind<&HealthSession::on_interval>(this)),
      timeout_timer_(owner.loop_.timers(), base::bind<&HealthSession::on_timeout>(this)),
      response_(arena_) {}

HealthSession::~HealthSession() {
  checking_ = false;
  drop_connection();
}

void HealthSession::start() {
  int64_t jitter_ms = policy_.initial_jitter_ms;
  interval_timer_.arm(jitter_ms <= 0 ? 0
                                     : static_cast<int64_t>(owner_.random_.below(static_cast<uint64_t>(jitter_ms))));
}

void HealthSession::on_interval() {
  owner_.cluster_->stats(0).health_check_attempt.add();
  checking_ = true;
  timeout_timer_.arm(policy_.timeout_ms);
  reused_ = stream_ != nullptr;
  if (stream_ == nullptr) return connect();
  if (policy_.kind == HealthCheckPolicy::Kind::kTcp) {
    answer_.clear();
    tcp_output_.append(policy_.tcp_send);
    return schedule_flush();
  }
  if (codec_ != nullptr && codec_->can_start_stream()) return send_request();
  drop_connection();
  connect();
}

void HealthSession::connect() {
  reused_ = false;
  answer_.clear();
  stream_ = owner_.cluster_->connector_of(*host_).connect(owner_.loop_, host_->address());
  stream_->attach(*this);
}

void HealthSession::on_connected() {
  if (!checking_) return drop_connection();
  const ClusterPolicy& config = owner_.cluster_->config();
  switch (policy_.kind) {
    case HealthCheckPolicy::Kind::kTcp:
      if (policy_.tcp_receive.empty() && policy_.tcp_send.empty()) {
        conclude(Verdict::kHealthy);
        return drop_connection();
      }
      tcp_output_.append(policy_.tcp_send);
      return schedule_flush();
    case HealthCheckPolicy::Kind::kHttp:
      codec_ = policy_.http2 ? codec::http2::make_client_codec(config.codec_limits)
                             : codec::http1::make_client_codec(config.codec_limits);
      break;
    case HealthCheckPolicy::Kind::kGrpc:
      codec_ = codec::http2::make_client_codec(config.codec_limits);
      break;
  }
  send_request();
}

void HealthSession::send_request() {
  bool grpc = policy_.kind == HealthCheckPolicy::Kind::kGrpc;
  response_ = http::ResponseHead(arena_);
  arena_.reset();
  answer_.clear();
  grpc_status_.reset();
  http::RequestHead request(arena_);
  request.method = grpc ? "POST" : std::string_view(policy_.method);
  request.method_id = http::method_of(request.method);
  request.scheme = owner_.cluster_->config().tls ? "https" : "http";
  request.authority = policy_.host.empty() ? std::string_view(owner_.cluster_->name()) : policy_.host;
  request.path = grpc ? "/grpc.health.v1.Health/Check" : std::string_view(policy_.path);
  request.headers.add("user-agent", "weft/health-check");
  if (grpc) {
    request.headers.add("content-type", "application/grpc");
    request.accepts_trailers = true;
  }
  for (const auto& [name, value] : policy_.request_headers) request.headers.set(name, value);
  exchange_ = &codec_->new_stream(*this);
  exchange_->send_head(request, !grpc);
  if (grpc && exchange_ != nullptr) send_grpc_body();
  schedule_flush();
}

void HealthSession::send_grpc_body() {
  base::Buffer body;
  body.append(grpc_request(policy_.grpc_service_name));
  exchange_->send_body(body, true);
}

void HealthSession::on_response_head(bool end) {
  if (const http::Header* status = response_.headers.find("grpc-status")) {
    int value = -1;
    std::from_chars(status->value.data(), status->value.data() + status->value.size(), value);
    grpc_status_ = value;
  }
  if (end) judge_answer();
}

void HealthSession::on_body(base::Buffer& data, bool end) {
  if (answer_.size() + data.size() <= kMaxAnswerBytes) answer_ += data.to_string();
  data.clear();
  if (end) judge_answer();
}

void HealthSession::on_trailers(http::HeaderMap& trailers) {
  if (const http::Header* status = trailers.find("grpc-status")) {
    int value = -1;
    std::from_chars(status->value.data(), status->value.data() + status->value.size(), value);
    grpc_status_ = value;
  }
  judge_answer();
}

void HealthSession::judge_answer() {
  bool healthy;
  if (policy_.kind == HealthCheckPolicy::Kind::kGrpc) {
    healthy = response_.status == 200 && grpc_status_ == 0 && grpc_serving_status(answer_) == kGrpcServing;
  } else {
    healthy = std::any_of(
        policy_.expected_statuses.begin(), policy_.expected_statuses.end(),
        [this](const auto& range) { return response_.status >= range.start && response_.status < range.end; });
  }
  conclude(healthy ? Verdict::kHealthy : Verdict::kUnhealthy);
}

void HealthSession::on_reset(codec::ResetReason reason, http::Cause) {
  if (!checking_) return;
  // A kept connection that closed as the request went out says nothing of the host.
  if (reused_ && (reason == codec::ResetReason::kConnectionClosedUnused || reason == codec::ResetReason::kRefused)) {
    reconnect_ = true;
    return drop_at_turn_end();
  }
  conclude(Verdict::kNetworkFailure);
}

void HealthSession::on_timeout() { conclude(Verdict::kNetworkFailure); }

void HealthSession::on_readable() {
  receive();
  if (stream_ != nullptr) schedule_flush();
}

void HealthSession::receive() {
  transport::ByteStream* reading = stream_.get();
  while (stream_ != nullptr && stream_.get() == reading) {
    if (policy_.kind != HealthCheckPolicy::Kind::kTcp && codec_ == nullptr) return;
    transport::IoResult result = stream_->read(input_, kReadBytes);
    if (policy_.kind == HealthCheckPolicy::Kind::kTcp) {
      match_tcp();
    } else if (!input_.empty()) {
      codec::FeedState state = codec_->feed(input_);
      if (stream_.get() != reading) return;
      if (state == codec::FeedState::kFailed || state == codec::FeedState::kClose) {
        if (exchange_ == nullptr || !checking_) drop_connection();
        return;
      }
    }
    if (stream_.get() != reading) return;
    if (result.state == State::kEnd || result.state == State::kError) {
      if (codec_ != nullptr) codec_->on_input_end();
      if (stream_.get() != reading) return;
      if (checking_) return conclude(Verdict::kNetworkFailure);
      return drop_connection();
    }
    if (result.state == State::kBlocked || result.drained) return;
  }
}

// Each expected piece must come after the one before it; what stands between is skipped.
void HealthSession::match_tcp() {
  if (answer_.size() + input_.size() <= kMaxAnswerBytes) answer_ += input_.to_string();
  input_.clear();
  if (!checking_ || policy_.tcp_receive.empty()) return;
  size_t from = 0;
  for (const std::string& piece : policy_.tcp_receive) {
    size_t at = answer_.find(piece, from);
    if (at == std::string::npos) return;
    from = at + piece.size();
  }
  conclude(Verdict::kHealthy);
}

void HealthSession::drop_at_turn_end() {
  drop_ = true;
  schedule_flush();
}

void HealthSession::on_turn_end() {
  if (drop_) {
    drop_connection();
    if (std::exchange(reconnect_, false) && checking_) connect();
    return;
  }
  if (stream_ == nullptr || !stream_->connected()) return;
  transport::ByteStream* writing = stream_.get();
  if (codec_ != nullptr) {
    codec_->deliver_closed();
    codec_->fill_output();
  }
  base::Buffer& output = codec_ != nullptr ? codec_->output() : tcp_output_;
  while (!output.empty()) {
    transport::IoResult result = stream_->write(output);
    if (result.state == State::kError) {
      if (checking_) return conclude(Verdict::kNetworkFailure);
      return drop_connection();
    }
    if (result.state == State::kBlocked || result.drained) break;
    if (codec_ != nullptr) codec_->fill_output();
  }
  if (codec_ != nullptr) {
    codec_->deliver_closed();
    if (stream_.get() == writing && !checking_ && codec_->closing()) return drop_connection();
    return;
  }
  // Nothing is expected back: that the bytes went out is enough.
  if (checking_ && policy_.tcp_receive.empty() && output.empty()) conclude(Verdict::kHealthy);
}

void HealthSession::conclude(Verdict verdict) {
  if (!checking_) return;
  checking_ = false;
  timeout_timer_.disarm();
  if (verdict == Verdict::kHealthy) {
    note_healthy();
  } else {
    note_failure(verdict);
  }
  bool first = !std::exchange(checked_, true);
  owner_.on_verdict(*host_);
  if (!policy_.reuse_connection || verdict == Verdict::kNetworkFailure) drop_at_turn_end();
  interval_timer_.arm(owner_.wait_ms(policy_, !failed_));
  if (first) owner_.on_first_check();
}

void HealthSession::note_healthy() {
  owner_.cluster_->stats(0).health_check_success.add();
  failures_in_row_ = 0;
  if (!failed_) return;
  if (++healthy_in_row_ < policy_.healthy_threshold && checked_) return;
  failed_ = false;
}

void HealthSession::note_failure(Verdict verdict) {
  auto& stats = owner_.cluster_->stats(0);
  stats.health_check_failure.add();
  if (verdict == Verdict::kNetworkFailure) stats.health_check_network_failure.add();
  healthy_in_row_ = 0;
  if (failed_) return;
  if (verdict == Verdict::kNetworkFailure && ++failures_in_row_ < policy_.unhealthy_threshold) return;
  failed_ = true;
}

void HealthSession::drop_connection() {
  base::ListNode<event::TurnEndTask>::unlink();
  drop_ = false;
  tcp_output_.clear();
  input_.clear();
  if (stream_ == nullptr) return;
  std::unique_ptr<transport::ByteStream> stream = std::move(stream_);
  std::unique_ptr<codec::ClientCodec> codec = std::move(codec_);
  bool was_checking = std::exchange(checking_, false);
  if (codec != nullptr) {
    codec->on_connection_lost(codec::ResetReason::kCancel, http::Cause::kNone);
    codec->deliver_closed();
  }
  checking_ = was_checking;
  exchange_ = nullptr;
  stream->close(transport::ByteStream::CloseKind::kReset);
  owner_.loop_.destroy_later(std::make_unique<Remains>(std::move(stream), std::move(codec)));
}

}  // namespace weft::cluster
