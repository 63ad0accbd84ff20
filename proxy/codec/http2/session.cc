#include "proxy/codec/http2/session.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/codec/http2/error_codes.h"

namespace weft::codec::http2 {
namespace {

using http::Cause;
using http::HeaderId;

// Frames are made only while less than this waits for the socket, so that a slow peer costs no memory.
constexpr size_t kOutputBytes = 128 * 1024;
// A window update below this is worth nothing to us and costs as much as any.
constexpr int32_t kSmallWindowUpdateBytes = 256;
constexpr size_t kMaxOutboundAcks = 1000;
// Frames that wait in nghttp2 to be written: so many for the connection, and some for each open stream.
constexpr size_t kMaxQueuedFrames = 2000;
constexpr size_t kMaxQueuedFramesPerStream = 8;
constexpr uint32_t kMaxInformational = 16;
// A head this many times over its limit is not even read to its end: whoever sends it means harm.
constexpr size_t kHopelessHeadFactor = 4;

std::string_view view(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

bool parse_number(std::string_view text, uint64_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// nghttp2 and its callbacks are the same for every session of a side.
nghttp2_option* make_options() {
  nghttp2_option* options;
  nghttp2_option_new(&options);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_max_outbound_ack(options, kMaxOutboundAcks);
  nghttp2_option_set_max_send_header_block_length(options, 256 * 1024);
  nghttp2_option_set_no_closed_streams(options, 1);
  // The work budget judges resets by what gets done beside them; a fixed rate would end busy gRPC connections.
  nghttp2_option_set_stream_reset_rate_limit(options, UINT64_MAX / 2, UINT64_MAX / 2);
  return options;
}

}  // namespace

Session::Session(const Limits& limits, bool server) : limits(limits), server(server) {
  static nghttp2_session_callbacks* callbacks = [] {
    nghttp2_session_callbacks* made;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame);
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(made, send_data);
    return made;
  }();
  static nghttp2_option* options = make_options();
  int result = server ? nghttp2_session_server_new2(&ng, callbacks, this, options)
                      : nghttp2_session_client_new2(&ng, callbacks, this, options);
  WEFT_ASSERT(result == 0);
  nghttp2_settings_entry settings[8];
  size_t count = 0;
  auto set = [&](int32_t id, uint32_t value) { settings[count++] = {id, value}; };
  set(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.h2_initial_stream_window_bytes);
  set(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits.h2_header_table_bytes);
  set(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits.h2_max_frame_bytes);
  set(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.max_header_bytes);
  set(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server ? limits.h2_max_concurrent_streams : 0);
  if (server && limits.h2_allow_connect_protocol) set(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  if (!server) set(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings, count);
  nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits.h2_initial_connection_window_bytes));
}

Session::~Session() {
  nghttp2_session_del(ng);
  for (auto* list : {&streams, &closed}) {
    while (!list->empty()) delete &list->pop_front();
  }
}

FeedState Session::feed(base::Buffer& input) {
  if (failed) {
    input.clear();
    return FeedState::kFailed;
  }
  if (!input.empty()) budget.on_read();
  while (!input.empty()) {
    input_piece = input.front_slice();
    auto verdict = scanner_.scan(input_piece.view());
    if (verdict == FrameScanner::Verdict::kEndedStream) {
      fail(protocol_error(), "a frame on a stream that its sender had ended", NGHTTP2_STREAM_CLOSED);
    } else if (verdict == FrameScanner::Verdict::kOldStream) {
      fail(protocol_error(), "a new stream's id is below one used before", NGHTTP2_PROTOCOL_ERROR);
    }
    if (failed) {
      input_piece = base::Slice();
      input.clear();
      return FeedState::kFailed;
    }
    ssize_t used =
        nghttp2_session_mem_recv(ng, reinterpret_cast<const uint8_t*>(input_piece.data()), input_piece.size());
    input_piece = base::Slice();
    if (used == NGHTTP2_ERR_FLOODED) {
      fail(Cause::kWorkBudgetExceeded, "too many frames to acknowledge");
    } else if (used < 0) {
      fail(protocol_error(), nghttp2_strerror(static_cast<int>(used)));
    } else if (nghttp2_session_get_outbound_queue_size(ng) > kMaxQueuedFrames + kMaxQueuedFramesPerStream * open) {
      fail(Cause::kWorkBudgetExceeded, "too many frames to answer");
    }
    if (failed) {
      input.clear();
      return FeedState::kFailed;
    }
    input.drain(static_cast<size_t>(used));
  }
  if (receiving != nullptr) receiving->deliver_body(false);
  receiving = nullptr;
  return FeedState::kMore;
}

void Session::fail(Cause why, std::string words, uint32_t error) {
  if (failed) return;
  failed = true;
  cause = why;
  detail = std::move(words);
  if (error == NGHTTP2_NO_ERROR) error = NGHTTP2_PROTOCOL_ERROR;
  if (why == Cause::kWorkBudgetExceeded) error = NGHTTP2_ENHANCE_YOUR_CALM;
  if (why == Cause::kInternal) error = NGHTTP2_INTERNAL_ERROR;
  nghttp2_session_terminate_session(ng, error);
}

void Session::fill_output() {
  // What is queued refers to heads that went with their exchanges.
  if (lost_) return;
  make_frames();
  bool resumed = false;
  for (Stream& stream : watched) {
    bool before = stream.blocked;
    stream.update_blocked();
    if (before && !stream.blocked) resumed = true;
    if (!stream.blocked) stream.base::ListNode<WatchTag>::unlink();
  }
  if (resumed) make_frames();
}

void Session::make_frames() {
  while (output.size() < kOutputBytes) {
    const uint8_t* data = nullptr;
    ssize_t size = nghttp2_session_mem_send(ng, &data);
    if (size < 0) fail(Cause::kInternal, nghttp2_strerror(static_cast<int>(size)));
    if (size <= 0) return;
    output.append(view(data, static_cast<size_t>(size)));
  }
}

void Session::watch(Stream& stream) {
  if (!stream.base::ListNode<WatchTag>::linked()) watched.push_back(stream);
}

void Session::on_output_blocked(bool blocked) {
  output_blocked = blocked;
  for (Stream& stream : streams) {
    stream.update_blocked();
    if (stream.blocked) watch(stream);
  }
}

void Session::close(Stream& stream) {
  stream.base::ListNode<Stream>::unlink();
  closed.push_back(stream);
}

void Session::deliver_closed() {
  while (!closed.empty()) {
    Stream& stream = closed.pop_front();
    --open;
    if (receiving == &stream) receiving = nullptr;
    if (stream.late_reset != ResetReason::kNone) stream.tell_reset(stream.late_reset, stream.late_cause);
    StreamEvents& events = stream.events();
    delete &stream;
    events.on_stream_closed();
  }
}

void Session::lose_all(ResetReason reason, Cause why) {
  failed = true;
  lost_ = true;
  while (!streams.empty()) {
    Stream& stream = streams.front();
    if (stream.id >= 0) nghttp2_session_set_stream_user_data(ng, stream.id, nullptr);
    close(stream);
    if (server || reason != ResetReason::kConnectionClosed) {
      stream.tell_reset(reason, why);
    } else if (!stream.request_sent) {
      stream.tell_reset(ResetReason::kRefused, why);
    } else {
      stream.tell_reset(reason, stream.head_done && why == Cause::kUpstreamClosed ? Cause::kUpstreamEarlyEnd : why);
    }
  }
}

bool Session::spend(Work work) {
  if (budget.spend(work)) return true;
  fail(Cause::kWorkBudgetExceeded, "too many " + std::string(budget.overspent()));
  return false;
}

Stream& Session::new_client_stream(ResponseEvents& events) {
  auto* stream = new Stream(*this, -1);
  stream->response_events = &events;
  streams.push_back(*stream);
  ++open;
  return *stream;
}

// ---- Receiving.

int Session::on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* context) {
  auto& self = *static_cast<Session*>(context);
  int32_t id = frame->hd.stream_id;
  if (self.server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    auto* stream = new Stream(self, id);
    self.streams.push_back(*stream);
    ++self.open;
    nghttp2_session_set_stream_user_data(self.ng, id, stream);
    stream->request_events = &self.server_events->on_new_stream(*stream);
    stream->request_events->request_head().version = http::Version::kHttp2;
    return 0;
  }
  Stream* stream = self.find(id);
  if (stream == nullptr) return 0;
  stream->header_bytes = stream->header_count = 0;
  if (stream->head_done) {
    base::Arena& arena = stream->arena();
    stream->incoming_trailers = new (arena.allocate(sizeof(http::HeaderMap))) http::HeaderMap(arena);
  } else {
    stream->response_events->response_head().version = http::Version::kHttp2;
  }
  return 0;
}

int Session::on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name_bytes, size_t name_size,
                       const uint8_t* value_bytes, size_t value_size, uint8_t flags, void* context) {
  auto& self = *static_cast<Session*>(context);
  Stream* stream = self.find(frame->hd.stream_id);
  if (stream == nullptr || stream->over) return 0;
  std::string_view name = view(name_bytes, name_size), value = view(value_bytes, value_size);
  stream->header_bytes += name_size + value_size + 32;  // RFC 9113, 6.5.2: the size of a field.
  bool pseudo = name[0] == ':';
  if (!pseudo) ++stream->header_count;
  if (stream->header_count > self.limits.max_header_count || stream->header_bytes > self.limits.max_header_bytes) {
    stream->headers_too_large = true;
    if (stream->header_bytes / kHopelessHeadFactor <= self.limits.max_header_bytes) return 0;
    self.fail(Cause::kWorkBudgetExceeded, "headers many times above their limit");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (self.limits.underscores != Limits::Underscores::kAllow && name.find('_') != std::string_view::npos) {
    if (self.limits.underscores == Limits::Underscores::kReject) stream->head_refused = true;
    return 0;
  }
  base::Arena& arena = stream->arena();
  bool never_index = (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
  HeaderId id = pseudo ? HeaderId::kOther : http::header_id(name);
  auto add = [&](http::HeaderMap& map) {
    map.add_view(id, id == HeaderId::kOther ? arena.copy(name) : http::header_name(id), arena.copy(value), never_index);
  };
  if (stream->incoming_trailers != nullptr) {
    add(*stream->incoming_trailers);
    return 0;
  }
  if (!self.server) {
    http::ResponseHead& head = stream->response_events->response_head();
    uint64_t number = 0;
    if (name == ":status") {
      parse_number(value, &number);
      head.status = static_cast<uint16_t>(number);
      return 0;
    }
    if (id == HeaderId::kContentLength && parse_number(value, &head.content_length)) head.has_content_length = true;
    add(head.headers);
    return 0;
  }
  http::RequestHead& head = stream->request_events->request_head();
  if (pseudo) {
    std::string_view text = arena.copy(value);
    if (name == ":method") {
      head.method = text;
      head.method_id = http::method_of(text);
    } else if (name == ":scheme") {
      head.scheme = text;
    } else if (name == ":authority") {
      head.authority = text;
      if (!http::is_authority(text)) return self.malformed(stream->id, ":authority is not host and port");
    } else if (name == ":path") {
      head.path = text;
    } else if (name == ":protocol") {
      head.upgrade = text;
    }
    return 0;
  }
  switch (id) {
    case HeaderId::kHost:
      // RFC 9113, 8.3.1: two different words on where to go make it malformed.
      if (!head.authority.empty() && !http::equals_ignoring_case(head.authority, value)) {
        return self.malformed(stream->id, "host is not :authority");
      }
      if (!value.empty() && !http::is_authority(value)) return self.malformed(stream->id, "host is not valid");
      if (head.authority.empty()) head.authority = arena.copy(value);
      return 0;
    case HeaderId::kTe:
      head.accepts_trailers = value == "trailers";
      return 0;
    case HeaderId::kExpect:
      if (value == "100-continue") {
        head.expects_continue = true;
        return 0;
      }
      break;
    case HeaderId::kContentLength:
      if (parse_number(value, &head.content_length)) head.has_content_length = true;
      break;
    case HeaderId::kCookie:
      ++stream->cookie_crumbs;
      break;
    default:
      break;
  }
  add(head.headers);
  return 0;
}

namespace {

// RFC 9113, 8.2.3: crumbs are one header again before they go on.
void join_cookies(http::HeaderMap& headers) {
  size_t bytes = 0;
  for (const http::Header& header : headers) {
    if (header.id == HeaderId::kCookie) bytes += header.value.size() + 2;
  }
  char* text = static_cast<char*>(headers.arena().allocate(bytes, 1));
  char* end = text;
  for (const http::Header& header : headers) {
    if (header.id != HeaderId::kCookie) continue;
    if (end != text) {
      *end++ = ';';
      *end++ = ' ';
    }
    if (!header.value.empty()) std::memcpy(end, header.value.data(), header.value.size());
    end += header.value.size();
  }
  headers.remove(HeaderId::kCookie);
  headers.add_view(HeaderId::kCookie, http::header_name(HeaderId::kCookie), {text, static_cast<size_t>(end - text)});
}

}  // namespace

void Session::receive_trailers(Stream& stream) {
  if (stream.headers_too_large || stream.head_refused) {
    submit_reset(stream, ResetReason::kMessageTooLarge);
    return stream.tell_reset(ResetReason::kCancel, server ? Cause::kHeadersTooLarge : Cause::kUpstreamHeadersTooLarge);
  }
  stream.deliver_body(false);
  stream.received_end = true;
  if (!stream.over && !stream.reset_told) stream.events().on_trailers(*stream.incoming_trailers);
}

void Session::receive_head(Stream& stream, bool end) {
  if (stream.incoming_trailers != nullptr) return receive_trailers(stream);
  if (server) return receive_request(stream, end);
  http::ResponseHead& head = stream.response_events->response_head();
  if (stream.headers_too_large || stream.head_refused) {
    submit_reset(stream, ResetReason::kMessageTooLarge);
    return stream.tell_reset(ResetReason::kMessageTooLarge, stream.headers_too_large ? Cause::kUpstreamHeadersTooLarge
                                                                                     : Cause::kUpstreamProtocolError);
  }
  if (head.status < 100 || head.status == 101) {  // RFC 9110, 15; RFC 9113, 8.6.
    malformed(stream.id, ":status is not valid");
    return stream.tell_reset(ResetReason::kProtocolError, Cause::kUpstreamProtocolError);
  }
  if (head.is_informational()) {
    if (++stream.informational > kMaxInformational) {
      submit_reset(stream, ResetReason::kEnhanceYourCalm);
      return stream.tell_reset(ResetReason::kProtocolError, Cause::kUpstreamProtocolError);
    }
    stream.response_events->on_informational();
    head = http::ResponseHead(stream.arena());
    return;
  }
  stream.head_done = true;
  if (end) stream.received_end = true;
  if (stream.upgraded && head.status / 100 == 2) {
    head.status = 101;
    head.upgrade = stream.upgrade;
    head.has_content_length = false;
  }
  stream.response_events->on_response_head(end);
}

void Session::receive_request(Stream& stream, bool end) {
  stream.head_done = true;
  if (end) stream.received_end = true;
  http::RequestHead& head = stream.request_events->request_head();
  stream.method = head.method_id;
  stream.upgraded = !head.upgrade.empty();
  // RFC 9113, 8.5.
  bool connect = stream.method == http::Method::kConnect && !stream.upgraded;
  if (connect && http::port_of(head.authority).empty()) stream.head_refused = true;
  if (stream.headers_too_large || stream.head_refused) {
    // Still answerable; what was not stored is not missed.
    stream.reset_told = true;
    return stream.request_events->on_reset(
        stream.headers_too_large ? ResetReason::kMessageTooLarge : ResetReason::kProtocolError,
        stream.headers_too_large ? Cause::kHeadersTooLarge : Cause::kBadRequest);
  }
  if (stream.cookie_crumbs > 1) join_cookies(head.headers);
  stream.request_events->on_request_head(end);
}

int Session::malformed(int32_t id, std::string_view what) {
  if (limits.h2_malformed_ends_connection) {
    fail(protocol_error(), std::string(what));
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Session::on_invalid_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t*, size_t, const uint8_t*,
                               size_t, uint8_t, void* context) {
  // RFC 9113, 8.2.1: a message with such a field is malformed, not one field shorter.
  return static_cast<Session*>(context)->malformed(frame->hd.stream_id, "a field is not valid");
}

int Session::on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* context) {
  auto& self = *static_cast<Session*>(context);
  // Each is answered by a RST_STREAM, which nghttp2 keeps until it can be written.
  if (!self.spend(Work::kReset)) return NGHTTP2_ERR_CALLBACK_FAILURE;
  bool malformed = error == NGHTTP2_ERR_HTTP_HEADER || error == NGHTTP2_ERR_HTTP_MESSAGING;
  if (!malformed || !self.limits.h2_malformed_ends_connection) return 0;
  return self.malformed(frame->hd.stream_id, "a message is not valid HTTP");
}

int Session::on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* context) {
  auto& self = *static_cast<Session*>(context);
  bool rich = true;
  if (header->type == NGHTTP2_CONTINUATION) rich = self.spend(Work::kContinuation);
  if (header->type == NGHTTP2_PRIORITY) rich = self.spend(Work::kPriority);
  if (header->type == NGHTTP2_DATA && header->length == 0 && (header->flags & NGHTTP2_FLAG_END_STREAM) == 0) {
    rich = self.spend(Work::kEmptyFrame);
  }
  return rich ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Session::on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* context) {
  auto& self = *static_cast<Session*>(context);
  bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  bool rich = true;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      if (Stream* stream = self.find(frame->hd.stream_id); stream != nullptr && !stream->over) {
        self.receive_head(*stream, end);
      }
      break;
    case NGHTTP2_DATA:
      if (Stream* stream = self.find(frame->hd.stream_id)) {
        stream->deliver_body(end);
        if (self.receiving == stream) self.receiving = nullptr;
      }
      break;
    case NGHTTP2_RST_STREAM:
      rich = self.spend(Work::kReset);
      if (Stream* stream = self.find(frame->hd.stream_id)) {
        stream->reset_by_peer = true;
        if (self.receiving == stream) {
          self.receiving = nullptr;
          stream->deliver_body(false);
        }
      }
      break;
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) self.on_settings();
      rich = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 || self.spend(Work::kSettings);
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        self.ping_outstanding = false;
      } else {
        rich = self.spend(Work::kPing);
      }
      break;
    case NGHTTP2_GOAWAY:
      self.goaway_received = true;
      break;
    case NGHTTP2_WINDOW_UPDATE:
      if (frame->window_update.window_size_increment < kSmallWindowUpdateBytes) {
        rich = self.spend(Work::kSmallWindowUpdate);
      }
      break;
    default:
      break;
  }
  return rich ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Session::on_data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* context) {
  auto& self = *static_cast<Session*>(context);
  // The connection's window is everybody's: what one stream withholds is bounded by that stream's own.
  nghttp2_session_consume_connection(self.ng, size);
  self.budget.on_body_bytes(size);
  Stream* stream = self.find(id);
  if (stream == nullptr || stream->over) {
    nghttp2_session_consume_stream(self.ng, id, size);
    return 0;
  }
  if (self.receiving != nullptr && self.receiving != stream) self.receiving->deliver_body(false);
  self.receiving = stream;
  stream->incoming.append(self.input_piece.part(reinterpret_cast<const char*>(data), size));
  return 0;
}

int Session::on_stream_close(nghttp2_session*, int32_t id, uint32_t error, void* context) {
  auto& self = *static_cast<Session*>(context);
  Stream* stream = self.find(id);
  if (stream == nullptr) return 0;
  nghttp2_session_set_stream_user_data(self.ng, id, nullptr);
  if (stream->sent_end && (stream->received_end || self.server)) self.budget.on_stream_finished();
  // Out of nghttp2's hands from here: the receiver must not come back to a stream that is gone.
  self.close(*stream);
  if (error == NGHTTP2_NO_ERROR && stream->received_end) {
    stream->over = true;
    return 0;
  }
  ResetReason reason = reason_of(error);
  Cause why = self.server ? Cause::kDownstreamReset : Cause::kUpstreamReset;
  if (!self.server && reason == ResetReason::kRefused) why = Cause::kUpstreamRefusedStream;
  if (reason == ResetReason::kProtocolError && !stream->reset_by_peer) why = self.protocol_error();
  // The stream has closed, so nothing can be answered any more.
  if (self.server && reason == ResetReason::kProtocolError) reason = ResetReason::kCancel;
  stream->tell_reset(reason, why);
  return 0;
}

// The peer's first SETTINGS say whether it takes extended CONNECT: what waited for that word goes on.
void Session::on_settings() {
  if (settings_received_) return;
  settings_received_ = true;
  for (Stream& stream : streams) {
    const http::RequestHead* head = std::exchange(stream.waiting_head, nullptr);
    if (head != nullptr && !stream.over) submit_request(stream, *head, false);
  }
}

// ---- Sending.

void Session::add_field(std::string_view name, std::string_view value, bool never_index) {
  nghttp2_nv field;
  field.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
  field.namelen = name.size();
  field.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  field.valuelen = value.size();
  field.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  if (never_index) field.flags |= NGHTTP2_NV_FLAG_NO_INDEX;
  fields_.push_back(field);
}

void Session::add_headers(const http::HeaderMap& headers, bool) {
  for (const http::Header& header : headers) {
    switch (header.id) {
      case HeaderId::kConnection:
      case HeaderId::kHost:
      case HeaderId::kKeepAlive:
      case HeaderId::kProxyConnection:
      case HeaderId::kTransferEncoding:
      case HeaderId::kUpgrade:
      case HeaderId::kHttp2Settings:
      case HeaderId::kTe:
      case HeaderId::kContentLength:
        continue;
      default:
        break;
    }
    std::string_view name = header.name;
    if (header.id != HeaderId::kOther) {
      name = http::header_name(header.id);
    } else if (std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
      char* lower = static_cast<char*>(headers.arena().allocate(name.size(), 1));
      std::transform(name.begin(), name.end(), lower,
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
      name = {lower, name.size()};
    }
    add_field(name, header.value, header.never_index);
  }
}

namespace {

std::string_view number_text(uint64_t number, base::Arena& arena) {
  char* text = static_cast<char*>(arena.allocate(20, 1));
  return {text, static_cast<size_t>(std::to_chars(text, text + 20, number).ptr - text)};
}

}  // namespace

void Session::submit_request(Stream& stream, const http::RequestHead& head, bool end) {
  base::Arena& arena = head.headers.arena();
  stream.method = head.method_id;
  stream.upgraded = !head.upgrade.empty();
  fields_.clear();
  if (stream.upgraded) {
    if (!settings_received_) {
      stream.waiting_head = arena.make<http::RequestHead>(head);
      return;
    }
    stream.upgrade = arena.copy(head.upgrade);
    end = false;
    if (nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1) {
      return refuse_later(stream, ResetReason::kHttp11Required, Cause::kUpstreamProtocolError);
    }
    add_field(":method", "CONNECT");
    add_field(":protocol", head.upgrade);
  } else {
    add_field(":method", head.method);
  }
  if (stream.upgraded || head.method_id != http::Method::kConnect) {
    add_field(":scheme", head.scheme.empty() ? "http" : head.scheme);
    add_field(":path", head.path);
  }
  add_field(":authority", head.authority);
  add_headers(head.headers, true);
  if (head.has_content_length && !stream.upgraded) add_field("content-length", number_text(head.content_length, arena));
  if (head.accepts_trailers) add_field("te", "trailers");
  if (head.expects_continue) add_field("expect", "100-continue");
  nghttp2_data_provider provider;
  provider.source.ptr = nullptr;
  provider.read_callback = read_data;
  int32_t id = nghttp2_submit_request(ng, nullptr, fields_.data(), fields_.size(), end ? nullptr : &provider, &stream);
  if (id < 0) return refuse_later(stream, ResetReason::kRefused, Cause::kUpstreamRefusedStream);
  stream.id = id;
  if (end) stream.outgoing_ended = true;
}

// The receiver is told from deliver_closed(), as it is the one calling.
void Session::refuse_later(Stream& stream, ResetReason reason, Cause why) {
  stream.late_reset = reason;
  stream.late_cause = why;
  close(stream);
}

void Session::submit_response(Stream& stream, const http::ResponseHead& head, bool end, bool informational) {
  if (stream.over) return;
  base::Arena& arena = head.headers.arena();
  uint16_t status = stream.upgraded && head.status == 101 ? 200 : head.status;
  fields_.clear();
  add_field(":status", number_text(status, arena));
  add_headers(head.headers, false);
  if (head.has_content_length && !stream.upgraded && status != 204 && status >= 200) {
    add_field("content-length", number_text(head.content_length, arena));
  }
  if (informational) {
    nghttp2_submit_headers(ng, NGHTTP2_FLAG_NONE, stream.id, nullptr, fields_.data(), fields_.size(), nullptr);
    return;
  }
  stream.tunnel = stream.method == http::Method::kConnect && status / 100 == 2;
  bool no_body = end || stream.method == http::Method::kHead || status == 204 || status == 304;
  if (no_body) stream.outgoing_ended = true;
  nghttp2_data_provider provider;
  provider.source.ptr = nullptr;
  provider.read_callback = read_data;
  int result = nghttp2_submit_response(ng, stream.id, fields_.data(), fields_.size(), no_body ? nullptr : &provider);
  if (result != 0) fail(Cause::kInternal, nghttp2_strerror(result));
}

void Session::submit_trailers(Stream& stream) {
  fields_.clear();
  add_headers(*stream.outgoing_trailers, true);
  nghttp2_submit_trailer(ng, stream.id, fields_.data(), fields_.size());
}

void Session::submit_reset(Stream& stream, ResetReason reason) {
  if (stream.id < 0) return close(stream);
  nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, stream.id, error_of(reason));
}

ssize_t Session::read_data(nghttp2_session*, int32_t id, uint8_t*, size_t size, uint32_t* flags, nghttp2_data_source*,
                           void* context) {
  auto& self = *static_cast<Session*>(context);
  Stream* stream = self.find(id);
  if (stream == nullptr || stream->over) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t ready = stream->outgoing.size();
  if (ready == 0 && !stream->outgoing_ended) {
    stream->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  size_t n = std::min(ready, size);
  if (n == ready && stream->outgoing_ended) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->outgoing_trailers && !stream->outgoing_trailers->empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      self.submit_trailers(*stream);
    }
  }
  return static_cast<ssize_t>(n);
}

int Session::send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t size, nghttp2_data_source*,
                       void* context) {
  auto& self = *static_cast<Session*>(context);
  Stream* stream = self.find(frame->hd.stream_id);
  if (stream == nullptr || stream->outgoing.size() < size) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  self.output.append(view(header, 9));
  self.output.move_from(stream->outgoing, size);
  // A small frame is a small message, or all that the peer's window lets through: the latter is no work done.
  if (stream->outgoing.empty() || size >= static_cast<size_t>(kSmallWindowUpdateBytes)) self.budget.on_body_sent(size);
  return self.output.size() < kOutputBytes ? 0 : NGHTTP2_ERR_PAUSE;
}

int Session::on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* context) {
  auto& self = *static_cast<Session*>(context);
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && !self.failed) {
    // nghttp2 found an error of the peer's by itself, and says in the frame what it was.
    self.failed = true;
    self.cause = self.protocol_error();
    self.detail = view(frame->goaway.opaque_data, frame->goaway.opaque_data_len);
  }
  bool data_or_headers = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
  if (!data_or_headers) return 0;
  Stream* stream = self.find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS) {
    if (!stream->request_sent && self.server) self.budget.on_answer_begun();
    stream->request_sent = true;
  }
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  stream->sent_end = true;
  // The answer is whole, the request is not: the rest of it is not wanted (RFC 9113, 8.1). A tunnel's halves end apart.
  if (self.server && !stream->received_end && !stream->tunnel) {
    stream->over = true;
    nghttp2_submit_rst_stream(self.ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

int Session::on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int, void* context) {
  auto& self = *static_cast<Session*>(context);
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  Stream* stream = self.find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  // A request that never went out, or an answer whose stream closed under it.
  if (self.server) return 0;
  nghttp2_session_set_stream_user_data(self.ng, frame->hd.stream_id, nullptr);
  self.close(*stream);
  stream->tell_reset(ResetReason::kRefused, Cause::kUpstreamRefusedStream);
  return 0;
}

}  // namespace weft::codec::http2
