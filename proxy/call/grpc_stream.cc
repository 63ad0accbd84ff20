#include "proxy/call/grpc_stream.h"

#include <charconv>

#include "api/text/cat.h"

namespace weft::call {
namespace {

// gRPC's status codes, as far as they are told from here.
constexpr int kUnknown = 2;
constexpr int kInternal = 13;
constexpr int kUnavailable = 14;
constexpr size_t kMaxReasonBytes = 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// grpc-message is percent-encoded (gRPC over HTTP/2, "Status-Message"). What is no text becomes '?'; bounded.
std::string decode_message(std::string_view encoded) {
  std::string text;
  for (size_t i = 0; i < encoded.size() && text.size() < kMaxReasonBytes; ++i) {
    char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size() && hex_digit(encoded[i + 1]) >= 0 && hex_digit(encoded[i + 2]) >= 0) {
      c = static_cast<char>(hex_digit(encoded[i + 1]) * 16 + hex_digit(encoded[i + 2]));
      i += 2;
    }
    text += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  }
  return text;
}

}  // namespace

GrpcStream::GrpcStream(pool::WorkerContext& context, const cluster::ClusterPtr& cluster, const GrpcCall& call,
                       Events& events)
    : context_(context),
      cluster_(cluster),
      call_(call),
      events_(&events),
      claim_(context),
      response_(arena_),
      frames_(call.max_message_bytes) {
  if (call_.authority.empty()) call_.authority = cluster_->name();
}

GrpcStream* GrpcStream::start(pool::WorkerContext& context, const cluster::ClusterPtr& cluster, const GrpcCall& call,
                              Events& events) {
  auto* stream = new GrpcStream(context, cluster, call, events);
  context.loop.at_next_turn(*stream);
  return stream;
}

void GrpcStream::on_next_turn() {
  pool::WorkerCluster* upstream = context_.upstreams.find(cluster_->name());
  if (upstream == nullptr) return finish(kUnavailable, "the cluster is gone");
  if (std::string_view lack = claim_.claim(*upstream, priority()); !lack.empty()) return finish(kUnavailable, lack);
  upstream->acquire_stream(claim_.host(), *this);
}

void GrpcStream::on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) {
  stream_ = &stream;
  connection_ = &connection;
  if (connection.version() != http::Version::kHttp2) {
    return finish(kInternal, "the connection does not speak HTTP/2; the cluster needs http2_protocol_options");
  }
  send_head();
  if (events_ != nullptr) events_->on_grpc_open();
}

void GrpcStream::send_head() {
  http::RequestHead request(arena_);
  request.version = http::Version::kHttp2;
  request.method = "POST";
  request.method_id = http::Method::kPost;
  request.scheme = cluster_->config().tls ? "https" : "http";
  request.authority = call_.authority;
  request.path = call_.path;
  request.accepts_trailers = true;
  request.headers.add("content-type", "application/grpc");
  request.headers.add("user-agent", "weft-proxy");
  for (const auto& [name, value] : call_.metadata) request.headers.set(name, value);
  stream_->send_head(request, false);
  connection_->schedule_flush();
}

void GrpcStream::send_message(std::string_view message, bool last) {
  if (stream_ == nullptr || over_) return;
  base::Buffer body;
  body.append(grpc_frame(message));
  said_all_ = last;
  stream_->send_body(body, last);
  connection_->schedule_flush();
}

void GrpcStream::on_response_head(bool end) {
  heard_all_ = end;
  if (events_ == nullptr) return;
  claim_.report(response_.status, http::Cause::kNone);
  if (end && response_.headers.find("grpc-status") != nullptr) return finish_with(response_.headers);
  if (response_.status != 200) {
    return finish(http::grpc_status_of(response_.status),
                  text::cat("the server answered with HTTP status ", response_.status, ", expected 200"));
  }
  const http::Header* type = response_.headers.find("content-type");
  std::string_view media = type == nullptr ? std::string_view() : type->value;
  if (!media.starts_with("application/grpc")) {
    return finish(kUnknown,
                  text::cat("the server's answer has content-type \"", media, "\", expected application/grpc"));
  }
  if (end) finish(kInternal, "the server ended the call without a grpc-status");
}

void GrpcStream::on_body(base::Buffer& data, bool end) {
  heard_all_ = end;
  std::string message;
  while (events_ != nullptr && frames_.next(data, &message)) events_->on_grpc_message(message);
  data.clear();
  if (events_ == nullptr) return;
  if (!frames_.error().ok()) {
    return finish(static_cast<int>(frames_.error().code()), std::string(frames_.error().message()));
  }
  if (!end) return;
  finish(kInternal, frames_.within_message() ? "the server ended the call in the middle of a message"
                                             : "the server ended the call without a grpc-status");
}

void GrpcStream::on_trailers(http::HeaderMap& trailers) {
  heard_all_ = true;
  finish_with(trailers);
}

void GrpcStream::finish_with(const http::HeaderMap& trailers) {
  const http::Header* header = trailers.find("grpc-status");
  if (header == nullptr) return finish(kInternal, "the server's trailers have no grpc-status");
  int status = -1;
  std::string_view value = header->value;
  auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), status);
  if (error != std::errc() || rest != value.data() + value.size() || status < 0) {
    return finish(kUnknown, text::cat("the server ended the call with grpc-status \"", decode_message(value),
                                      "\", expected a number"));
  }
  const http::Header* message = trailers.find("grpc-message");
  std::string reason = text::cat("the server ended the call with grpc-status ", status);
  if (message != nullptr) text::append(&reason, ": ", decode_message(message->value));
  finish(status, reason);
}

void GrpcStream::on_reset(codec::ResetReason, http::Cause cause) {
  over_ = true;
  finish_failed(cause, {});
}

void GrpcStream::on_stream_failed(http::Cause cause, std::string_view detail) { finish_failed(cause, detail); }

void GrpcStream::finish_failed(http::Cause cause, std::string_view detail) {
  if (events_ == nullptr) return;
  claim_.report(0, cause);
  std::string reason(http::cause_info(cause).sentence);
  if (!detail.empty()) text::append(&reason, " (", detail, ")");
  finish(kUnavailable, reason);
}

void GrpcStream::on_send_blocked(bool blocked) {
  // A server that does not take our answers gets nothing more to be answered.
  blocked_ = blocked;
  update_pause();
}

void GrpcStream::hold(bool held) {
  if (std::exchange(held_, held) != held) update_pause();
}

void GrpcStream::update_pause() {
  if (stream_ == nullptr || over_ || released_) return;
  stream_->pause_receiving(held_ || blocked_);
  if (!held_ && !blocked_) connection_->schedule_flush();
}

void GrpcStream::on_stream_closed() {
  stream_ = nullptr;
  connection_ = nullptr;
  if (released_) return destroy();
  finish(kUnavailable, "the stream was closed");
}

void GrpcStream::finish(int status, std::string_view reason) {
  if (Events* events = std::exchange(events_, nullptr)) {
    std::string where =
        claim_.host() == nullptr ? std::string() : text::cat(claim_.host()->address().to_string(), ": ");
    events->on_grpc_end({status, text::cat(where, reason)});
  }
  release();
}

void GrpcStream::cancel() {
  events_ = nullptr;
  release();
}

void GrpcStream::release() {
  if (std::exchange(released_, true)) return;
  base::ListNode<event::NextTurnTask>::unlink();
  leave_queue();
  claim_.release();
  if (stream_ == nullptr) return destroy();
  if (over_ || (said_all_ && heard_all_ && stream_->unsent_bytes() == 0)) return;
  stream_->reset(codec::ResetReason::kCancel);
  connection_->schedule_flush();
}

void GrpcStream::destroy() { context_.loop.destroy_later(std::unique_ptr<event::Deferred>(this)); }

std::string_view GrpcStream::server_name() const { return http::host_of(call_.authority); }

}  // namespace weft::call
