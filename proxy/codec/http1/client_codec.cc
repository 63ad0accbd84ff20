#include "proxy/codec/http1/client_codec.h"

#include <algorithm>

#include "proxy/codec/http1/http1.h"

namespace weft::codec::http1 {
namespace {

constexpr uint32_t kMaxInformational = 16;

}  // namespace

std::unique_ptr<ClientCodec> make_client_codec(const Limits& limits) {
  return std::make_unique<ClientCodecImpl>(limits);
}

ClientStream& ClientCodecImpl::new_stream(ResponseEvents& events) {
  WEFT_ASSERT(can_start_stream());
  exchange_ = &events;
  ++exchanges_;
  in_ = In::kHead;
  informational_ = 0;
  answer_begun_ = paused_ = held_end_ = told_blocked_ = reset_due_ = false;
  return *this;
}

FeedState ClientCodecImpl::feed(base::Buffer& input) {
  while (!input.empty()) {
    if (closed_ || in_ == In::kEnded) {
      // More than the one answer: nothing asked for it, so the connection cannot be trusted any further.
      if (!ending_) error_ = {http::Cause::kUpstreamProtocolError, "bytes follow the end of the answer"};
      ending_ = true;
      input.clear();
      return FeedState::kClose;
    }
    if (in_ == In::kIdle) {
      error_ = {http::Cause::kUpstreamProtocolError, "an answer came to no request"};
      ending_ = true;
      input.clear();
      return FeedState::kFailed;
    }
    if (in_ == In::kHead) {
      if (out_ == Out::kIdle) {
        fail(http::Cause::kUpstreamProtocolError, "an answer came before its request", ResetReason::kProtocolError);
        return FeedState::kFailed;
      }
      answer_begun_ = true;
      if (!feed_head(input)) return error_ ? FeedState::kFailed : FeedState::kMore;
      continue;
    }
    if (paused_) return FeedState::kPaused;
    if (in_ == In::kChunked) {
      receive_chunked(input);
      continue;
    }
    base::Buffer data;
    bool end = false;
    if (in_ == In::kLength) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(in_left_, input.size()));
      data.move_from(input, n);
      in_left_ -= n;
      end = in_left_ == 0;
      if (end) in_ = In::kEnded;
    } else {
      data.move_from(input);
    }
    exchange_->on_body(data, end);
    close_if_ended();
  }
  return ending_ && exchange_ == nullptr ? FeedState::kClose : FeedState::kMore;
}

// False: the head is not complete, or it is not valid and error_ is set.
bool ClientCodecImpl::feed_head(base::Buffer& input) {
  std::string_view bytes = input.front();
  size_t end = scanner_.find_end(bytes);
  if (end == 0 && bytes.size() < input.size()) {
    bytes = input.linearize(std::min<size_t>(input.size(), limits_.max_header_bytes + 1));
    end = scanner_.find_end(bytes);
  }
  if (end == 0 || end > limits_.max_header_bytes) {
    if (input.size() > limits_.max_header_bytes) {
      fail(http::Cause::kUpstreamHeadersTooLarge, "the answer's head is too large", ResetReason::kMessageTooLarge);
    }
    return false;
  }
  begin_answer(input, end);
  return !error_;
}

void ClientCodecImpl::begin_answer(base::Buffer& input, size_t head_size) {
  scanner_.reset();
  framing_ = Framing();
  base::Arena& arena = exchange_->arena();
  arena.pin(input.front_slice());
  http::ResponseHead& response = exchange_->response_head();
  ParseError error = parse_response_head(input.front().substr(0, head_size), limits_, response, framing_);
  input.drain(head_size);
  if (error) {
    http::Cause cause = error.cause == http::Cause::kHeadersTooLarge ? http::Cause::kUpstreamHeadersTooLarge
                                                                     : http::Cause::kUpstreamProtocolError;
    return fail(cause, error.detail, ResetReason::kProtocolError);
  }
  if (response.is_informational()) {
    if (++informational_ > kMaxInformational) {
      return fail(http::Cause::kUpstreamProtocolError, "too many interim answers", ResetReason::kProtocolError);
    }
    exchange_->on_informational();
    response = http::ResponseHead(arena);
    return;
  }
  if (framing_.close || (response.version == http::Version::kHttp10 && !framing_.keep_alive)) ending_ = true;
  bool connected = method_ == http::Method::kConnect && !extended_connect_ && response.status / 100 == 2;
  if (response.status == 101 && (!upgrade_asked_ || response.upgrade.empty())) {
    return fail(http::Cause::kUpstreamProtocolError, "101 came to a request that asked for no upgrade",
                ResetReason::kProtocolError);
  }
  bool end = false;
  if (response.status == 101 || connected) {
    begin_tunnel();
    response.has_content_length = false;
  } else if (method_ == http::Method::kHead || response.status == 204 || response.status == 304 ||
             (framing_.has_length && framing_.length == 0)) {
    end = true;
  } else if (framing_.chunked) {
    in_ = In::kChunked;
    chunks_.start(limits_);
  } else if (framing_.has_length) {
    in_ = In::kLength;
    in_left_ = framing_.length;
  } else {
    in_ = In::kUntilClose;
    ending_ = true;
  }
  if (end) in_ = In::kEnded;
  if (out_ == Out::kAwaitUpgrade) {
    held_.clear();
    out_ = Out::kEnded;
  }
  exchange_->on_response_head(end);
  tell_blocked();
  close_if_ended();
}

void ClientCodecImpl::begin_tunnel() {
  in_ = In::kTunnel;
  out_ = held_end_ ? Out::kEnded : Out::kTunnel;
  ending_ = true;
  output_.move_from(held_);
}

void ClientCodecImpl::receive_chunked(base::Buffer& input) {
  base::Buffer data;
  ChunkReader::Result result = chunks_.read(input, data);
  auto broken = [&](std::string_view detail) {
    fail(http::Cause::kUpstreamProtocolError, detail, ResetReason::kProtocolError);
  };
  if (result != ChunkReader::Result::kEnd) {
    if (!data.empty()) exchange_->on_body(data, false);
    if (result == ChunkReader::Result::kError && !closed_) broken(chunks_.error());
    return;
  }
  base::Arena& arena = exchange_->arena();
  auto* trailers = new (arena.allocate(sizeof(http::HeaderMap))) http::HeaderMap(arena);
  ParseError error = parse_trailers(arena.copy(chunks_.trailers()), limits_, *trailers);
  if (error) return broken(error.detail);
  in_ = In::kEnded;
  if (!limits_.enable_trailers || trailers->empty()) {
    exchange_->on_body(data, true);
  } else {
    if (!data.empty()) exchange_->on_body(data, false);
    if (!closed_) exchange_->on_trailers(*trailers);
  }
  close_if_ended();
}

FeedState ClientCodecImpl::on_input_end() {
  ending_ = true;
  if (exchange_ == nullptr || closed_) return FeedState::kClose;
  if (in_ == In::kUntilClose || in_ == In::kTunnel) {
    in_ = In::kEnded;
    out_ = Out::kEnded;
    base::Buffer none;
    exchange_->on_body(none, true);
    close_if_ended();
    return FeedState::kClose;
  }
  if (in_ == In::kEnded) {
    // The answer is whole; the rest of the request has nowhere to go.
    out_ = Out::kEnded;
    close_if_ended();
    return FeedState::kClose;
  }
  bool unanswered = !answer_begun_;
  fail(unanswered ? http::Cause::kUpstreamClosed : http::Cause::kUpstreamEarlyEnd,
       "the connection ended before the answer did",
       unanswered && exchanges_ > 1 ? ResetReason::kConnectionClosedUnused : ResetReason::kConnectionClosed);
  return FeedState::kClose;
}

void ClientCodecImpl::on_connection_lost(ResetReason reason, http::Cause cause) {
  ending_ = true;
  if (exchange_ == nullptr || closed_) return;
  if (reason == ResetReason::kConnectionClosed && !answer_begun_ && exchanges_ > 1) {
    reason = ResetReason::kConnectionClosedUnused;
  }
  fail(cause, "the connection was lost", reason);
}

void ClientCodecImpl::fail(http::Cause cause, std::string_view detail, ResetReason reason) {
  error_ = {cause, detail};
  ending_ = true;
  in_ = In::kEnded;
  out_ = Out::kEnded;
  held_.clear();
  if (closed_) return;
  closed_ = true;
  exchange_->on_reset(reason, cause);
}

void ClientCodecImpl::fail_later(std::string_view detail) {
  if (exchange_ == nullptr || closed_) return;
  error_ = {http::Cause::kInternal, detail};
  reset_due_ = true;
  reset(ResetReason::kInternalError);
}

void ClientCodecImpl::fill_output() { tell_blocked(); }

void ClientCodecImpl::tell_blocked() {
  bool blocked = blocked_ || held_.size() > limits_.stream_buffer_high_bytes;
  if (exchange_ == nullptr || closed_ || blocked == told_blocked_) return;
  told_blocked_ = blocked;
  exchange_->on_send_blocked(blocked);
}

void ClientCodecImpl::on_output_blocked(bool blocked) {
  blocked_ = blocked;
  tell_blocked();
}

void ClientCodecImpl::deliver_closed() {
  if (!closed_) return;
  ResponseEvents* exchange = exchange_;
  exchange_ = nullptr;
  closed_ = false;
  in_ = In::kIdle;
  out_ = Out::kIdle;
  if (reset_due_) {
    reset_due_ = false;
    exchange->on_reset(ResetReason::kInternalError, error_.cause);
  }
  exchange->on_stream_closed();
}

void ClientCodecImpl::close_if_ended() {
  if (exchange_ == nullptr || closed_ || in_ != In::kEnded || out_ != Out::kEnded) return;
  closed_ = true;
}

void ClientCodecImpl::send_head(const http::RequestHead& head, bool end) {
  method_ = head.method_id;
  upgrade_asked_ = !head.upgrade.empty();
  extended_connect_ = upgrade_asked_ && method_ == http::Method::kConnect;
  BodyFraming framing = BodyFraming::kNone;
  if (head.is_tunnel()) {
    out_ = Out::kAwaitUpgrade;
  } else if (head.has_content_length) {
    framing = BodyFraming::kLength;
    out_ = Out::kLength;
    out_left_ = head.content_length;
  } else if (!end) {
    framing = BodyFraming::kChunked;
    out_ = Out::kChunked;
  } else {
    // RFC 9110, 8.6: a method that usually has a body says that there is none.
    bool usually = method_ == http::Method::kPost || method_ == http::Method::kPut || method_ == http::Method::kPatch;
    if (usually) framing = BodyFraming::kLength;
    out_ = Out::kLength;
    out_left_ = 0;
  }
  if (!write_request_head(head, framing, limits_, output_)) {
    return fail_later("the request has a header that cannot be sent");
  }
  if (end && !head.is_tunnel()) end_sending();
}

void ClientCodecImpl::send_body(base::Buffer& data, bool end) {
  switch (out_) {
    case Out::kLength:
      if (data.size() > out_left_) {
        data.clear();
        return fail_later("the request's body is longer than its content-length");
      }
      out_left_ -= data.size();
      output_.move_from(data);
      break;
    case Out::kChunked:
      if (!data.empty()) write_chunk(data, output_);
      break;
    case Out::kTunnel:
      output_.move_from(data);
      break;
    case Out::kAwaitUpgrade:
      // A server that refuses would read these bytes as its next request.
      held_.move_from(data);
      held_end_ = end;
      return;
    default:
      data.clear();
      return;
  }
  if (end) end_sending();
}

void ClientCodecImpl::send_trailers(const http::HeaderMap& trailers) {
  if (out_ == Out::kChunked && limits_.enable_trailers && !trailers.empty()) {
    if (!write_trailers(trailers, limits_, output_)) return fail_later("a trailer cannot be sent");
    out_ = Out::kEnded;
    return close_if_ended();
  }
  end_sending();
}

void ClientCodecImpl::end_sending() {
  if (out_ == Out::kChunked) output_.append_static("0\r\n\r\n");
  // Shorter than announced: the connection's end says so.
  if (out_ == Out::kLength && out_left_ != 0)
    return fail_later("the request's body is shorter than its content-length");
  if (out_ == Out::kAwaitUpgrade) {
    held_end_ = true;
    return;
  }
  out_ = Out::kEnded;
  close_if_ended();
}

void ClientCodecImpl::reset(ResetReason) {
  if (exchange_ == nullptr || closed_) return;
  in_ = In::kEnded;
  out_ = Out::kEnded;
  held_.clear();
  ending_ = true;
  closed_ = true;
}

}  // namespace weft::codec::http1
