#pragma once

#include <optional>

#include "proxy/base/intrusive_list.h"
#include "proxy/codec/codec.h"

// One exchange on an HTTP/2 connection, of either side. Owned by its Session; made from a thread's free list.

namespace weft::codec::http2 {

class Session;
struct WatchTag;

class Stream final : public ServerStream,
                     public ClientStream,
                     public base::ListNode<Stream>,
                     public base::ListNode<WatchTag> {
 public:
  Stream(Session& session, int32_t id) : session(session), id(id) {}
  static void* operator new(size_t size);
  static void operator delete(void* memory, size_t size);

  // StreamHandle, for both sides.
  void send_body(base::Buffer& data, bool end) override;
  void send_trailers(const http::HeaderMap& map) override;
  void reset(ResetReason reason) override;
  void pause_receiving(bool paused) override;
  size_t unsent_bytes() const override { return outgoing.size(); }
  uint32_t stream_id() const override { return static_cast<uint32_t>(id); }
  // ServerStream
  void send_informational(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, bool end) override;
  // ClientStream
  void send_head(const http::RequestHead& head, bool end) override;

  StreamEvents& events() {
    return request_events != nullptr ? static_cast<StreamEvents&>(*request_events)
                                     : static_cast<StreamEvents&>(*response_events);
  }
  base::Arena& arena() { return request_events != nullptr ? request_events->arena() : response_events->arena(); }
  // Delivers what the peer sent of the body.
  void deliver_body(bool end);
  void tell_reset(ResetReason reason, http::Cause cause);
  void update_blocked();

  Session& session;
  int32_t id;                                 // -1: not submitted yet.
  RequestEvents* request_events = nullptr;    // On a server.
  ResponseEvents* response_events = nullptr;  // On a client.

  base::Buffer incoming;  // Of the DATA frame being received.
  base::Buffer outgoing;
  std::optional<http::HeaderMap> outgoing_trailers;
  http::HeaderMap* incoming_trailers = nullptr;
  size_t header_bytes = 0;
  uint32_t header_count = 0;
  size_t withheld_bytes = 0;  // Received while paused; their window is given back on resuming.
  uint32_t cookie_crumbs = 0;
  uint32_t informational = 0;
  std::string_view upgrade;                         // What an extended CONNECT of ours asked for.
  const http::RequestHead* waiting_head = nullptr;  // An extended CONNECT that waits for the peer's SETTINGS.
  ResetReason late_reset = ResetReason::kNone;      // To be told before on_stream_closed().
  http::Cause late_cause = http::Cause::kNone;
  bool head_done = false;
  bool headers_too_large = false;
  bool head_refused = false;  // A name in it is not allowed here.
  bool reset_told = false;    // on_reset() was called, yet an answer may follow.
  bool reset_by_peer = false;
  bool request_sent = false;  // The first HEADERS of our half have been framed.
  bool tunnel = false;
  bool outgoing_ended = false;
  bool deferred = false;  // nghttp2 waits for more outgoing data.
  bool received_end = false;
  bool sent_end = false;
  bool paused = false;
  bool blocked = false;
  bool over = false;      // Reset by either side: the receiver hears nothing more but on_stream_closed().
  bool upgraded = false;  // Extended CONNECT that stands for an HTTP/1 Upgrade.
  http::Method method = http::Method::kOther;
};

}  // namespace weft::codec::http2
