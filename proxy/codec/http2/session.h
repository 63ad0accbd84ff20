#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <vector>

#include "proxy/codec/codec.h"
#include "proxy/codec/http2/stream.h"
#include "proxy/codec/http2/stream_ids.h"
#include "proxy/codec/http2/work_budget.h"

// What both sides of an HTTP/2 connection share: nghttp2's session, fed and drained from outside its callbacks, its
// streams, the work budget and the output. One thread, the connection's.

namespace weft::codec::http2 {

class Session {
 public:
  Session(const Limits& limits, bool server);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  FeedState feed(base::Buffer& input);
  void fill_output();
  void deliver_closed();
  void on_output_blocked(bool blocked);
  void lose_all(ResetReason reason, http::Cause cause);
  // The peer is told by a GOAWAY, with what the cause stands for unless `error` (RFC 9113, 7) says more.
  void fail(http::Cause cause, std::string detail, uint32_t error = NGHTTP2_NO_ERROR);

  // A request begins (server). Set before anything is fed.
  ServerCodec::Events* server_events = nullptr;

  Stream& new_client_stream(ResponseEvents& events);
  // From streams.
  void submit_request(Stream& stream, const http::RequestHead& head, bool end);
  void submit_response(Stream& stream, const http::ResponseHead& head, bool end, bool informational);
  // The stream's on_send_blocked() may change: it is looked at in fill_output().
  void watch(Stream& stream);
  void submit_reset(Stream& stream, ResetReason reason);
  void close(Stream& stream);

  nghttp2_session* ng = nullptr;
  const Limits& limits;
  bool server;
  base::Buffer output;
  base::IntrusiveList<Stream, Stream> streams;
  base::IntrusiveList<Stream, Stream> closed;
  base::IntrusiveList<Stream, WatchTag> watched;
  size_t open = 0;
  WorkBudget budget;
  bool failed = false;
  bool output_blocked = false;
  bool goaway_received = false;
  bool ping_outstanding = false;
  http::Cause cause = http::Cause::kNone;
  std::string detail;
  Stream* receiving = nullptr;  // Has incoming bytes of a frame that is not complete.
  base::Slice input_piece;      // What nghttp2 is reading.

 private:
  std::vector<nghttp2_nv> fields_;
  void add_field(std::string_view name, std::string_view value, bool never_index = false);
  void add_headers(const http::HeaderMap& headers, bool request);
  void submit_trailers(Stream& stream);
  // A message of the peer's is not valid HTTP. What a callback then returns to nghttp2.
  int malformed(int32_t id, std::string_view what);
  void refuse_later(Stream& stream, ResetReason reason, http::Cause why);
  void make_frames();
  void on_settings();
  http::Cause protocol_error() const {
    return server ? http::Cause::kDownstreamProtocolError : http::Cause::kUpstreamProtocolError;
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t flags, void* self);
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                               const uint8_t* value, size_t value_size, uint8_t flags, void* self);
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* self);
  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* self);
  static int on_data_chunk(nghttp2_session*, uint8_t flags, int32_t id, const uint8_t* data, size_t size, void* self);
  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t error, void* self);
  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int error, void* self);
  static ssize_t read_data(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void* self);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t size,
                       nghttp2_data_source* source, void* self);

  Stream* find(int32_t id) { return static_cast<Stream*>(nghttp2_session_get_stream_user_data(ng, id)); }
  void receive_head(Stream& stream, bool end);
  void receive_request(Stream& stream, bool end);
  void receive_trailers(Stream& stream);
  bool spend(Work work);

  FrameScanner scanner_{server};
  bool lost_ = false;  // The connection is gone: nothing is sent any more.
  bool settings_received_ = false;
};

}  // namespace weft::codec::http2
