#include "proxy/call/http_call.h"

#include <memory>

#include "absl/strings/str_cat.h"

namespace weft::call {
namespace {

absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

HttpCall::HttpCall(pool::WorkerContext& context, HttpRequest request, Events& events)
    : context_(context),
      request_(std::move(request)),
      events_(&events),
      timer_(context.loop.timers(), base::bind<&HttpCall::on_timeout>(this)),
      claim_(context),
      response_(arena_) {}

HttpCall* HttpCall::start(pool::WorkerContext& context, HttpRequest request, Events& events) {
  auto* call = new HttpCall(context, std::move(request), events);
  if (call->request_.timeout_ms != 0) call->timer_.arm(call->request_.timeout_ms);
  context.loop.at_next_turn(*call);
  return call;
}

void HttpCall::on_next_turn() {
  pool::WorkerCluster* upstream = context_.upstreams.find(request_.cluster);
  if (upstream == nullptr) return fail("there is no such cluster");
  if (again_) {
    // One that has taken its place knows nothing of the host.
    if (&upstream->cluster() != cluster_.get()) return fail_with(http::Cause::kUpstreamClosed, {});
    upstream->stats().upstream_rq_retry_stale_connection.add();
    return upstream->acquire_stream(claim_.host(), *this);
  }
  cluster_ = upstream->cluster().shared_from_this();
  if (std::string_view lack = claim_.claim(*upstream, priority()); !lack.empty()) return fail(lack);
  upstream->acquire_stream(claim_.host(), *this);
}

void HttpCall::on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) {
  stream_ = &stream;
  connection_ = &connection;
  send();
}

void HttpCall::send() {
  http::RequestHead head(arena_);
  head.version = connection_->version();
  head.method = request_.method;
  head.method_id = http::method_of(request_.method);
  head.scheme = cluster_->config().tls ? "https" : "http";
  head.authority =
      request_.authority.empty() ? std::string_view(cluster_->name()) : std::string_view(request_.authority);
  head.path = request_.path;
  for (const auto& [name, value] : request_.headers) head.headers.add(name, value);
  bool bare = request_.body.empty();
  head.has_content_length = !bare || request_.always_says_length || head.method_id == http::Method::kPost;
  head.content_length = request_.body.size();
  if (head.has_content_length) head.headers.set(http::HeaderId::kContentLength, absl::StrCat(request_.body.size()));
  stream_->send_head(head, bare);
  if (!bare) {
    base::Buffer body;
    body.append(request_.body);
    stream_->send_body(body, true);
  }
  connection_->schedule_flush();
}

void HttpCall::on_response_head(bool end) {
  if (events_ == nullptr) return;
  claim_.report(response_.status, http::Cause::kNone);
  if (end) finish_answered();
}

void HttpCall::on_body(base::Buffer& data, bool end) {
  size_t size = data.size();
  if (events_ != nullptr && body_.size() + size > request_.max_answer_bytes) {
    data.clear();
    return fail(absl::StrCat("the answer is longer than ", request_.max_answer_bytes, " bytes"));
  }
  if (events_ != nullptr && size != 0) body_ += data.linearize(size);
  data.clear();
  if (end) finish_answered();
}

void HttpCall::finish_answered() {
  ended_ = true;
  if (Events* events = std::exchange(events_, nullptr)) events->on_call_answer({response_, body_});
  release();
}

bool HttpCall::goes_again(codec::ResetReason reason) const {
  if (again_ || released_ || reason != codec::ResetReason::kConnectionClosedUnused) return false;
  return http::is_idempotent(http::method_of(request_.method)) || !connection_->request_bytes_written(*stream_);
}

void HttpCall::on_reset(codec::ResetReason reason, http::Cause cause) {
  over_ = true;
  if (goes_again(reason)) {
    again_ = true;
    return;  // Once the stream is closed.
  }
  fail_with(cause, {});
}

void HttpCall::fail_with(http::Cause cause, std::string_view detail) {
  if (events_ == nullptr) return release();
  claim_.report(0, cause);
  std::string reason(http::cause_info(cause).sentence);
  if (!detail.empty()) absl::StrAppend(&reason, " (", to_absl(detail), ")");
  fail(reason);
}

void HttpCall::on_timeout() { fail(absl::StrCat("no answer came within ", request_.timeout_ms, " ms")); }

void HttpCall::fail(std::string_view reason) {
  if (Events* events = std::exchange(events_, nullptr)) {
    std::string where = claim_.host() == nullptr ? std::string() : claim_.host()->address().to_string() + ": ";
    events->on_call_failed(absl::StrCat("cluster ", request_.cluster, ": ", where, to_absl(reason)));
  }
  release();
}

void HttpCall::cancel() {
  events_ = nullptr;
  release();
}

void HttpCall::on_stream_closed() {
  stream_ = nullptr;
  connection_ = nullptr;
  if (released_) return destroy();
  if (again_ && std::exchange(over_, false)) return context_.loop.at_next_turn(*this);
  fail("the stream was closed");
}

void HttpCall::release() {
  if (std::exchange(released_, true)) return;
  timer_.disarm();
  base::ListNode<event::NextTurnTask>::unlink();
  leave_queue();
  claim_.release();
  if (stream_ == nullptr) return destroy();
  if (over_ || (ended_ && stream_->unsent_bytes() == 0)) return;
  stream_->reset(codec::ResetReason::kCancel);
  connection_->schedule_flush();
}

void HttpCall::destroy() { context_.loop.destroy_later(std::unique_ptr<event::Deferred>(this)); }

std::string_view HttpCall::server_name() const { return http::host_of(request_.authority); }

}  // namespace weft::call
