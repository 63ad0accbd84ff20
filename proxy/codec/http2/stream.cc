#include "proxy/codec/http2/stream.h"

#include "proxy/base/free_list.h"
#include "proxy/codec/http2/session.h"

namespace weft::codec::http2 {
namespace {

constexpr size_t kMostKeptStreams = 1024;
thread_local base::FreeList<sizeof(Stream), kMostKeptStreams> free_streams;

}  // namespace

void* Stream::operator new(size_t) { return free_streams.take(); }

void Stream::operator delete(void* memory, size_t) { free_streams.give(memory); }

void Stream::deliver_body(bool end) {
  if (over || (incoming.empty() && !end)) return;
  size_t bytes = incoming.size();
  if (reset_told) {
    incoming.clear();
    if (bytes != 0) nghttp2_session_consume_stream(session.ng, id, bytes);
    if (end) received_end = true;
    return;
  }
  if (paused) {
    withheld_bytes += bytes;
  } else if (bytes != 0) {
    nghttp2_session_consume_stream(session.ng, id, bytes);
  }
  if (end) received_end = true;
  events().on_body(incoming, end);
}

void Stream::pause_receiving(bool pause) {
  paused = pause;
  if (paused || withheld_bytes == 0) return;
  nghttp2_session_consume_stream(session.ng, id, withheld_bytes);
  withheld_bytes = 0;
}

void Stream::tell_reset(ResetReason reason, http::Cause cause) {
  if (over) return;
  over = true;
  incoming.clear();
  outgoing.clear();
  if (reset_told) return;
  reset_told = true;
  events().on_reset(reason, cause);
}

void Stream::update_blocked() {
  size_t high = session.limits.stream_buffer_high_bytes;
  bool now = session.output_blocked || (blocked ? outgoing.size() > high / 2 : outgoing.size() > high);
  if (now == blocked || over) return;
  blocked = now;
  events().on_send_blocked(now);
}

void Stream::send_body(base::Buffer& data, bool end) {
  if (over || outgoing_ended) {
    data.clear();
    return;
  }
  outgoing.move_from(data);
  if (end) outgoing_ended = true;
  if (deferred) {
    deferred = false;
    nghttp2_session_resume_data(session.ng, id);
  }
  if (outgoing.size() > session.limits.stream_buffer_high_bytes) session.watch(*this);
}

void Stream::send_trailers(const http::HeaderMap& map) {
  if (over || outgoing_ended) return;
  outgoing_trailers.emplace(map);
  base::Buffer none;
  send_body(none, true);
}

void Stream::send_informational(const http::ResponseHead& head) { session.submit_response(*this, head, false, true); }

void Stream::send_head(const http::ResponseHead& head, bool end) { session.submit_response(*this, head, end, false); }

void Stream::send_head(const http::RequestHead& head, bool end) { session.submit_request(*this, head, end); }

void Stream::reset(ResetReason reason) {
  if (over) return;
  if (reason == ResetReason::kNone && outgoing_ended && !sent_end && session.server) {
    // What waits to be sent goes first; then the stream ends as one whose answer came before its request's end.
    tunnel = false;
    return;
  }
  over = true;
  incoming.clear();
  outgoing.clear();
  session.submit_reset(*this, reason);
}

}  // namespace weft::codec::http2
