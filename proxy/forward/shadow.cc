#include "proxy/forward/shadow.h"

namespace weft::forward {
namespace {

void copy_headers(const http::HeaderMap& from, http::HeaderMap& to) {
  for (const http::Header& header : from) to.add(header.name, header.value);
}

// "a.example:80" as "a.example-shadow:80", by which the receiver knows a copy.
std::string_view shadow_host(std::string_view authority, base::Arena& arena) {
  size_t from = authority.starts_with('[') ? authority.find(']') : 0;
  size_t colon = from == std::string_view::npos ? from : authority.find(':', from);
  std::string_view port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
  return arena.concat(authority.substr(0, authority.size() - port.size()), "-shadow", port);
}

}  // namespace

Shadow::Shadow(pool::WorkerContext& context, const route::Mirror& mirror,
               std::shared_ptr<const route::RouteTable> routes, const http::RequestHead& request)
    : context_(context),
      routes_(std::move(routes)),
      request_(arena_),
      trailers_(arena_),
      forwarder_(context, *this, request_, record_) {
  request_.version = request.version;
  request_.method_id = request.method_id;
  request_.method = arena_.copy(request.method);
  request_.scheme = arena_.copy(request.scheme);
  request_.path = arena_.copy(request.path);
  request_.accepts_trailers = request.accepts_trailers;
  request_.has_content_length = request.has_content_length;
  request_.content_length = request.content_length;
  request_.authority = !mirror.host_rewrite.empty() ? std::string_view(mirror.host_rewrite)
                       : mirror.keep_host           ? arena_.copy(request.authority)
                                                    : shadow_host(request.authority, arena_);
  copy_headers(request.headers, request_.headers);
}

void Shadow::start(pool::WorkerCluster& cluster, const ForwardPlan& plan, bool end) {
  action_.priority = plan.action->priority;
  ForwardPlan own = plan;
  own.cluster = &cluster;
  own.action = &action_;
  own.callers_retry = nullptr;
  own.deadlines.per_try_timeout_ms = 0;
  own.hash.reset();
  // It may outlive the connection that knows it.
  own.original_destination = nullptr;
  held_limit_bytes_ = plan.replay_limit_bytes;
  forwarder_.start(own, end);
}

void Shadow::send_body(const base::Buffer& data, bool end) {
  if (done_) return;
  if (!blocked_) blocked_bytes_ = 0;
  blocked_bytes_ += data.size();
  if (blocked_ && blocked_bytes_ > held_limit_bytes_) {
    forwarder_.cluster().stats().retry_or_shadow_abandoned.add();
    return cancel();
  }
  base::Buffer copy;
  copy.share_from(data);
  forwarder_.send_body(copy, end);
}

void Shadow::send_trailers(const http::HeaderMap& trailers) {
  if (done_) return;
  copy_headers(trailers, trailers_);
  forwarder_.send_trailers(trailers_);
}

void Shadow::cancel() {
  if (done_) return;
  if (forwarder_.started()) forwarder_.cancel();
  done();
}

void Shadow::on_forward_head(http::ResponseHead&, bool end) {
  if (end) done();
}

void Shadow::on_forward_body(base::Buffer& data, bool end) {
  data.clear();
  if (end) done();
}

void Shadow::on_forward_idle() {
  if (done_) context_.loop.at_turn_end(*this);
}

void Shadow::done() {
  done_ = true;
  context_.loop.at_turn_end(*this);
}

void Shadow::on_turn_end() {
  if (!forwarder_.idle()) return;
  base::ListNode<OfExchange>::unlink();
  base::ListNode<Shadow>::unlink();
  context_.loop.destroy_later(std::unique_ptr<event::Deferred>(this));
}

}  // namespace weft::forward
