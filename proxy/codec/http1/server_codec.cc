#include "proxy/codec/http1/server_codec.h"

#include <algorithm>

#include "proxy/codec/http1/http1.h"

namespace weft::codec::http1 {
namespace {

// RFC 9112, 2.2: an empty line before a request line is let pass, for old clients that end a body with one.
constexpr uint32_t kMaxEmptyLines = 2;

}  // namespace

std::unique_ptr<ServerCodec> make_server_codec(const Limits& limits, ServerCodec::Events& events) {
  return std::make_unique<ServerCodecImpl>(limits, events);
}

FeedState ServerCodecImpl::feed(base::Buffer& input) {
  while (true) {
    if (ending_ && exchange_ == nullptr) {
      input.clear();
      return error_ ? FeedState::kFailed : FeedState::kClose;
    }
    if (closed_) return input.empty() ? FeedState::kMore : FeedState::kPaused;
    if (in_ == In::kEnded || in_ == In::kAwaitUpgrade) {
      if (ending_) input.clear();  // Nothing that follows will be looked at.
      return input.empty() ? FeedState::kMore : FeedState::kPaused;
    }
    if (input.empty()) return FeedState::kMore;
    if (in_ == In::kHead) {
      if (FeedState state = feed_head(input); state != FeedState::kMore || exchange_ == nullptr) return state;
      continue;
    }
    if (paused_) return FeedState::kPaused;
    switch (in_) {
      case In::kLength:
        receive_length(input);
        break;
      case In::kChunked:
        receive_chunked(input);
        break;
      default: {
        base::Buffer data;
        data.move_from(input);
        exchange_->on_body(data, false);
        break;
      }
    }
  }
}

FeedState ServerCodecImpl::feed_head(base::Buffer& input) {
  while (!input.empty() && (input.front()[0] == '\r' || input.front()[0] == '\n')) {
    std::string_view front = input.front();
    if (front[0] == '\n' || (front.size() > 1 && front[1] != '\n') || empty_lines_ == kMaxEmptyLines) {
      refuse({http::Cause::kBadRequest, "the request does not begin with a method"});
      return FeedState::kFailed;
    }
    if (input.size() < 2) return FeedState::kMore;
    if (front.size() == 1 && input.linearize(2)[1] != '\n') continue;
    input.drain(2);
    ++empty_lines_;
  }
  if (input.empty()) return FeedState::kMore;
  std::string_view bytes = input.front();
  size_t end = scanner_.find_end(bytes);
  if (end == 0 && bytes.size() < input.size()) {
    bytes = input.linearize(std::min<size_t>(input.size(), limits_.max_header_bytes + 1));
    end = scanner_.find_end(bytes);
  }
  if (end == 0 || end > limits_.max_header_bytes) {
    if (input.size() <= limits_.max_header_bytes) return FeedState::kMore;
    bool in_first_line = bytes.find('\n') == std::string_view::npos;
    refuse(
        {in_first_line ? http::Cause::kUriTooLong : http::Cause::kHeadersTooLarge, "the request's head is too large"});
    return FeedState::kFailed;
  }
  begin_exchange(input, end);
  return FeedState::kMore;
}

void ServerCodecImpl::begin_exchange(base::Buffer& input, size_t head_size) {
  scanner_.reset();
  empty_lines_ = informational_ = 0;
  framing_ = Framing();
  ++exchanges_;
  paused_ = false;
  out_ = Out::kHead;
  exchange_ = &events_.on_new_stream(*this);
  base::Arena& arena = exchange_->arena();
  arena.pin(input.front_slice());
  http::RequestHead& request = exchange_->request_head();
  ParseError error = parse_request_head(input.front().substr(0, head_size), limits_, request, framing_);
  input.drain(head_size);
  request_version_ = request.version;
  if (!error && request.version == http::Version::kHttp10) {
    if (!limits_.accept_http10) {
      error = {http::Cause::kHttp10NotAccepted, "HTTP/1.0 is not accepted here"};
    } else if (request.authority.empty()) {
      request.authority = limits_.default_host_for_http10;
    }
  }
  if (error) {
    error_ = error;
    ending_ = true;
    keep_alive_ = false;
    in_ = In::kEnded;
    method_ = http::Method::kOther;
    exchange_->on_reset(ResetReason::kProtocolError, error.cause);
    return;
  }
  method_ = request.method_id;
  keep_alive_ = !framing_.close && (request.version == http::Version::kHttp11 || framing_.keep_alive);

  bool end = false;
  if (framing_.chunked) {
    in_ = In::kChunked;
    chunks_.start(limits_);
  } else if (framing_.length != 0) {
    in_ = In::kLength;
    in_left_ = framing_.length;
  } else if (request.is_tunnel()) {
    in_ = In::kAwaitUpgrade;
  } else {
    in_ = In::kEnded;
    end = true;
  }
  // A body and an upgrade at once: the request is an ordinary one (RFC 9110, 7.8 lets a server ignore Upgrade).
  if (in_ == In::kChunked || in_ == In::kLength) request.upgrade = {};
  exchange_->on_request_head(end);
}

void ServerCodecImpl::refuse(ParseError error) {
  ++exchanges_;
  error_ = error;
  ending_ = true;
  keep_alive_ = false;
  in_ = In::kEnded;
  out_ = Out::kHead;
  method_ = http::Method::kOther;
  exchange_ = &events_.on_new_stream(*this);
  exchange_->on_reset(ResetReason::kProtocolError, error.cause);
}

void ServerCodecImpl::receive_length(base::Buffer& input) {
  base::Buffer data;
  size_t n = static_cast<size_t>(std::min<uint64_t>(in_left_, input.size()));
  data.move_from(input, n);
  in_left_ -= n;
  bool end = in_left_ == 0;
  if (end) in_ = In::kEnded;
  exchange_->on_body(data, end);
  close_if_ended();
}

void ServerCodecImpl::receive_chunked(base::Buffer& input) {
  base::Buffer data;
  ChunkReader::Result result = chunks_.read(input, data);
  if (result != ChunkReader::Result::kEnd) {
    if (!data.empty()) exchange_->on_body(data, false);
    if (result == ChunkReader::Result::kError) body_error(chunks_.error());
    return;
  }
  in_ = In::kEnded;
  bool has_trailers = limits_.enable_trailers && chunks_.trailers().size() > 2;
  if (!has_trailers) {
    // Trailers that are dropped must still be well-formed.
    base::Arena scratch;
    http::HeaderMap dropped(scratch);
    if (ParseError error = parse_trailers(chunks_.trailers(), limits_, dropped)) return body_error(error.detail);
    exchange_->on_body(data, true);
    return close_if_ended();
  }
  base::Arena& arena = exchange_->arena();
  http::HeaderMap* trailers = new (arena.allocate(sizeof(http::HeaderMap))) http::HeaderMap(arena);
  ParseError error = parse_trailers(arena.copy(chunks_.trailers()), limits_, *trailers);
  if (error) return body_error(error.detail);
  if (!data.empty()) exchange_->on_body(data, false);
  if (exchange_ != nullptr && !closed_) exchange_->on_trailers(*trailers);
  close_if_ended();
}

void ServerCodecImpl::body_error(std::string_view detail) {
  error_ = {http::Cause::kDownstreamProtocolError, detail};
  ending_ = true;
  keep_alive_ = false;
  in_ = In::kEnded;
  if (!closed_) exchange_->on_reset(ResetReason::kProtocolError, error_.cause);
}

FeedState ServerCodecImpl::on_input_end() {
  if (exchange_ == nullptr || closed_) {
    ending_ = true;
    return FeedState::kClose;
  }
  keep_alive_ = false;
  ending_ = true;
  if (in_ == In::kTunnel) {
    in_ = In::kEnded;
    base::Buffer none;
    exchange_->on_body(none, true);
    close_if_ended();
    return FeedState::kMore;
  }
  // A client that sent a whole request may close its sending half and still wants the answer.
  if (in_ == In::kEnded || in_ == In::kAwaitUpgrade) return FeedState::kMore;
  error_ = {http::Cause::kDownstreamClosed, "the connection ended in the middle of a request"};
  in_ = In::kEnded;
  exchange_->on_reset(ResetReason::kConnectionClosed, error_.cause);
  return FeedState::kMore;
}

void ServerCodecImpl::on_connection_lost(ResetReason reason, http::Cause cause) {
  ending_ = true;
  in_ = In::kEnded;
  if (exchange_ == nullptr || closed_) return;
  out_ = Out::kEnded;
  closed_ = true;
  exchange_->on_reset(reason, cause);
}

void ServerCodecImpl::on_output_blocked(bool blocked) {
  if (blocked_ == blocked) return;
  blocked_ = blocked;
  if (exchange_ != nullptr && !closed_) exchange_->on_send_blocked(blocked);
}

void ServerCodecImpl::deliver_closed() {
  if (!closed_) return;
  RequestEvents* exchange = exchange_;
  exchange_ = nullptr;
  closed_ = false;
  in_ = In::kHead;
  out_ = Out::kEnded;
  if (!keep_alive_) ending_ = true;
  exchange->on_stream_closed();
}

void ServerCodecImpl::close_if_ended() {
  // A tunnel's halves end apart.
  if (exchange_ == nullptr || closed_ || out_ != Out::kEnded || in_ == In::kTunnel) return;
  if (in_ != In::kEnded) {
    // The answer is whole and the request is not: its rest is not read (RFC 9112, 9.6).
    keep_alive_ = false;
    ending_ = true;
    in_ = In::kEnded;
  }
  closed_ = true;
}

void ServerCodecImpl::send_informational(const http::ResponseHead& head) {
  if (out_ != Out::kHead || request_version_ == http::Version::kHttp10) return;
  write_response_head(head, ResponseFraming(), limits_, output_);
}

void ServerCodecImpl::send_head(const http::ResponseHead& head, bool end) {
  if (out_ != Out::kHead) return;
  ResponseFraming framing;
  bool tunnel =
      in_ == In::kAwaitUpgrade && (head.status == 101 || (method_ == http::Method::kConnect && head.status / 100 == 2));
  if (tunnel) {
    out_ = Out::kTunnel;
    in_ = In::kTunnel;
    ending_ = true;
    keep_alive_ = false;
    if (head.status == 101) framing.connection = ResponseFraming::Connection::kUpgrade;
  } else if (head.status < 200) {
    // Taken for interim by the client, it would leave the exchange without an answer.
    error_ = {http::Cause::kInternal, "an interim status is no answer"};
    return reset(ResetReason::kInternalError);
  } else {
    if (in_ == In::kAwaitUpgrade) {
      // What the client sent on may be the other protocol's bytes; none of it is read as a request.
      in_ = In::kEnded;
      keep_alive_ = false;
      ending_ = true;
    }
    bool never_has_body = method_ == http::Method::kHead || head.status == 204 || head.status == 304;
    if (never_has_body) {
      out_ = Out::kNoBody;
      framing.write_length = head.has_content_length && head.status != 204;
    } else if (head.has_content_length || end) {
      out_ = Out::kLength;
      framing.body = BodyFraming::kLength;
      framing.write_length = true;
      out_left_ = head.has_content_length ? head.content_length : 0;
    } else if (request_version_ == http::Version::kHttp11) {
      out_ = Out::kChunked;
      framing.body = BodyFraming::kChunked;
    } else {
      out_ = Out::kUntilClose;
      keep_alive_ = false;
    }
    if (draining_ || in_ != In::kEnded) keep_alive_ = keep_alive_ && !draining_ && !end;
    if (!keep_alive_) {
      framing.connection = ResponseFraming::Connection::kClose;
    } else if (request_version_ == http::Version::kHttp10) {
      framing.connection = ResponseFraming::Connection::kKeepAlive;
    }
  }
  if (!write_response_head(head, framing, limits_, output_)) {
    error_ = {http::Cause::kInternal, "the answer has a header that cannot be sent"};
    return reset(ResetReason::kInternalError);
  }
  if (end) end_sending();
}

void ServerCodecImpl::send_body(base::Buffer& data, bool end) {
  switch (out_) {
    case Out::kLength:
      if (data.size() > out_left_) {
        // More than was announced would be read as the next answer.
        error_ = {http::Cause::kUpstreamProtocolError, "the answer's body is longer than its content-length"};
        data.clear();
        return reset(ResetReason::kInternalError);
      }
      out_left_ -= data.size();
      output_.move_from(data);
      break;
    case Out::kChunked:
      if (!data.empty()) write_chunk(data, output_);
      break;
    case Out::kUntilClose:
    case Out::kTunnel:
      output_.move_from(data);
      break;
    default:
      data.clear();
      break;
  }
  if (end) end_sending();
}

void ServerCodecImpl::send_trailers(const http::HeaderMap& trailers) {
  if (out_ == Out::kChunked && limits_.enable_trailers && !trailers.empty()) {
    if (!write_trailers(trailers, limits_, output_)) return reset(ResetReason::kInternalError);
    out_ = Out::kNoBody;
  }
  end_sending();
}

void ServerCodecImpl::end_sending() {
  switch (out_) {
    case Out::kChunked:
      output_.append_static("0\r\n\r\n");
      break;
    case Out::kLength:
      if (out_left_ != 0) return reset(ResetReason::kInternalError);
      break;
    default:
      break;
  }
  out_ = Out::kEnded;
  close_if_ended();
}

void ServerCodecImpl::reset(ResetReason) {
  if (exchange_ == nullptr || closed_) return;
  // Where only the connection's end tells the answer's end, an orderly close would lie.
  must_reset_ = out_ == Out::kUntilClose || out_ == Out::kTunnel;
  in_ = In::kEnded;
  out_ = Out::kEnded;
  keep_alive_ = false;
  ending_ = true;
  closed_ = true;
}

}  // namespace weft::codec::http1
