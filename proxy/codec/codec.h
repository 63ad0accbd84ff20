#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/base/buffer.h"
#include "proxy/http/cause.h"
#include "proxy/http/message.h"

// What an HTTP codec is, whatever its version: bytes in, events out; events in, bytes out. A codec does no I/O and
// knows no clock, socket or filter. Its connection (stream/ downstream, pool/ upstream) feeds it what it read, and
// writes out what gathers in output(). Everything runs on the connection's worker thread.
//
// Order of a message: head, then body pieces, then perhaps trailers; the last of them carries or is the end. Whatever
// ends an exchange early is told once, by on_reset(), to the receiver of the incoming half.
//
// Lifetime: the receiver is the owner of the exchange. A stream handle is valid from its creation until the codec has
// told the receiver on_stream_closed(), which is always the last call and is made once: after both halves ended, or
// after a reset by either side. Handles must not be used from within or after it. No codec calls a receiver from within
// a call that the receiver made on the handle, except from within ServerCodec::feed / ClientCodec::feed;
// on_stream_closed() that results from such a call is delivered by the codec at its next deliver_closed() (the
// connection calls it at turn end).

namespace weft::codec {

// Everything that a peer can make us hold or do has a bound. Zero never means unlimited.
struct Limits {
  uint32_t max_header_bytes = 60 * 1024;  // Names, values and framing of one head; Envoy's max_request_headers_kb.
  uint32_t max_header_count = 100;
  uint32_t max_target_bytes = 8 * 1024;            // HTTP/1's request target.
  uint32_t max_chunk_extension_bytes = 1024;       // Over one body's whole life: 16 times that.
  uint32_t stream_buffer_high_bytes = 256 * 1024;  // Outgoing bytes held for one stream before its source is paused.
  uint32_t connection_buffer_high_bytes = 1024 * 1024;
  bool allow_absolute_form = true;
  bool accept_http10 = false;  // HTTP/1.0 requests are answered (Envoy's accept_http_10), else 426.
  std::string_view default_host_for_http10;
  // HTTP/1's TE: trailers and chunk trailers are passed on (Envoy's enable_trailers); else read and dropped.
  bool enable_trailers = false;
  enum class Underscores : uint8_t { kAllow, kReject, kDrop } underscores = Underscores::kAllow;
  enum class NameCase : uint8_t { kPreserve, kLower, kProper } name_case = NameCase::kPreserve;
  // HTTP/2 (RFC 9113, 6.5.2).
  uint32_t h2_max_concurrent_streams = 100;
  uint32_t h2_initial_stream_window_bytes = 256 * 1024;
  uint32_t h2_initial_connection_window_bytes = 1024 * 1024;
  uint32_t h2_header_table_bytes = 4096;
  uint32_t h2_max_frame_bytes = 16 * 1024;
  bool h2_allow_connect_protocol = true;  // RFC 8441
  // A malformed message (RFC 9113, 8.1.1) ends the whole connection, not its stream alone.
  bool h2_malformed_ends_connection = false;
  bool operator==(const Limits&) const = default;
};

// Why a stream is reset, either way; maps to HTTP/2's error codes (RFC 9113, 7). HTTP/1 closes the connection.
enum class ResetReason : uint8_t {
  kNone,
  kCancel,   // The exchange is no longer wanted.
  kRefused,  // REFUSED_STREAM, or above GOAWAY's last id: provably not processed.
  kProtocolError,
  kInternalError,
  kFlowControl,
  kEnhanceYourCalm,
  kConnectionClosed,        // The connection ended with the exchange incomplete.
  kConnectionClosedUnused,  // ... before the first byte of an answer, on a connection that had served others before.
  kHttp11Required,
  kConnectError,     // The connection that a CONNECT stands for broke (RFC 9113, 8.5).
  kMessageTooLarge,  // The head broke a limit.
};

class ServerStream;
class ClientStream;

// ---- The receiving side of an exchange: implemented by stream::Exchange and forward::Attempt.

class StreamEvents {
 public:
  // Body bytes; the receiver moves out what it takes, all of it. `end`: nothing follows.
  virtual void on_body(base::Buffer& data, bool end) = 0;
  // Trailers live in the exchange's arena. Ends the message.
  virtual void on_trailers(http::HeaderMap& trailers) = 0;
  // The incoming half, and the exchange with it, is over before its end. `cause` is the codec's best word for it.
  virtual void on_reset(ResetReason reason, http::Cause cause) = 0;
  // Outgoing bytes of this stream wait above the high watermark (true), or no longer do (false): pause your source.
  virtual void on_send_blocked(bool blocked) = 0;
  // The last call; the handle is dead after it.
  virtual void on_stream_closed() = 0;

 protected:
  ~StreamEvents() = default;
};

// A request whose head is not valid: on_new_stream(), then on_reset() with no on_request_head() before it. The receiver
// may still answer, by send_head() and send_body() on the handle; then the connection ends.
class RequestEvents : public StreamEvents {
 public:
  // Memory for the head and trailers: lives as long as the exchange.
  virtual base::Arena& arena() = 0;
  virtual http::RequestHead& request_head() = 0;
  // The head is complete. `end`: no body follows.
  virtual void on_request_head(bool end) = 0;

 protected:
  ~RequestEvents() = default;
};

class ResponseEvents : public StreamEvents {
 public:
  virtual base::Arena& arena() = 0;
  virtual http::ResponseHead& response_head() = 0;
  // A 1xx other than 101 (100, 102, 103): in response_head(), which is cleared after the call.
  virtual void on_informational() = 0;
  virtual void on_response_head(bool end) = 0;

 protected:
  ~ResponseEvents() = default;
};

// ---- The sending side of an exchange: implemented by codecs.

class StreamHandle {
 public:
  virtual void send_body(base::Buffer& data, bool end) = 0;  // Takes all of it.
  virtual void send_trailers(const http::HeaderMap& trailers) = 0;
  // Ends both halves at once. HTTP/2: RST_STREAM. HTTP/1: the connection must be closed.
  virtual void reset(ResetReason reason) = 0;
  // Flow control of the incoming half: while paused no on_body() comes (beyond what a running feed() had parsed).
  virtual void pause_receiving(bool paused) = 0;
  // Bytes sent on this stream that its connection has not taken yet.
  virtual size_t unsent_bytes() const = 0;
  virtual uint32_t stream_id() const = 0;  // HTTP/2's; HTTP/1 counts exchanges on the connection.

 protected:
  ~StreamHandle() = default;
};

class ServerStream : public StreamHandle {
 public:
  virtual void send_informational(const http::ResponseHead& head) = 0;
  virtual void send_head(const http::ResponseHead& head, bool end) = 0;

 protected:
  ~ServerStream() = default;
};

class ClientStream : public StreamHandle {
 public:
  virtual void send_head(const http::RequestHead& head, bool end) = 0;

 protected:
  ~ClientStream() = default;
};

// ---- A connection's codec.

enum class FeedState : uint8_t {
  kMore,    // All that could be parsed was; feed again when more bytes came (or after resuming, with what is left).
  kPaused,  // Stopped early (a stream is paused, HTTP/1 waits for the answer of the request before): input is left
            // over.
  kClose,   // The connection is of no more use: write output() out, then close.
  kFailed,  // The peer broke the protocol; output() may hold a last word. cause() says why.
};

class Codec {
 public:
  virtual ~Codec() = default;
  // Consumes bytes from the front of `input`.
  virtual FeedState feed(base::Buffer& input) = 0;
  // The peer sent its end of stream. Open exchanges that need more bytes are reset; HTTP/1 bodies without length end.
  virtual FeedState on_input_end() = 0;
  // The connection is gone (error, timeout, shut down): resets all open exchanges with `reason`.
  virtual void on_connection_lost(ResetReason reason, http::Cause cause) = 0;
  // Bytes for the peer, in order. The connection drains it.
  virtual base::Buffer& output() = 0;
  // Makes more output if there is room (HTTP/2 frames data only when it can go out). Call before writing, and after
  // output() shrank below the limits.
  virtual void fill_output() = 0;
  // output() is above (true) or below (false) its watermark: the codec tells its streams.
  virtual void on_output_blocked(bool blocked) = 0;
  // Delivers outstanding on_stream_closed() calls. Once a turn, at its end.
  virtual void deliver_closed() = 0;
  virtual size_t open_streams() const = 0;
  // Why feed() said kClose or kFailed; `detail` is for the log, in words ("chunk size is no hex number").
  virtual http::Cause cause() const = 0;
  virtual std::string_view detail() const = 0;
  virtual http::Version version() const = 0;
  // No exchange is open and none will come: write output() out, then close. Asked at the end of every turn.
  virtual bool finished() const = 0;
  // Nothing follows output() though bytes may still come in: once it is written, the connection shuts its writing half.
  virtual bool output_ended() const { return false; }
  // The close must be a TCP reset: what was sent ends where the peer would take it for whole, and it is not.
  virtual bool must_reset() const { return false; }
};

class ServerCodec : public Codec {
 public:
  class Events {
   public:
    // A request begins: who receives it? Called before its head is filled in. The returned object outlives the handle.
    virtual RequestEvents& on_new_stream(ServerStream& handle) = 0;

   protected:
    ~Events() = default;
  };
  // Graceful end: HTTP/1 says `connection: close` on the next answer; HTTP/2 sends GOAWAY with the highest stream id,
  // and by finish_drain() (a round trip or a moment later) the real last one. kClose once no stream is open.
  virtual void start_drain() = 0;
  virtual void finish_drain() = 0;
  // A head that began did not end in time: its exchange begins now, as one that is not valid (HTTP/1; else no effect).
  virtual void give_up_head() {}
};

class ClientCodec : public Codec {
 public:
  // Starts an exchange. Only when can_start_stream().
  virtual ClientStream& new_stream(ResponseEvents& events) = 0;
  // HTTP/1: no exchange is open and the connection may be reused. HTTP/2: below the peer's stream limit, no GOAWAY.
  virtual bool can_start_stream() const = 0;
  // No further exchange can ever start here (GOAWAY, connection: close, ids used up).
  virtual bool closing() const = 0;
  // HTTP/2: how many streams the peer allows at once. HTTP/1: 1.
  virtual uint32_t max_concurrent_streams() const = 0;
  // Keep-alive (HTTP/2 PING). Returns false when the version has none; on_ping_ack arrives by ping_outstanding().
  virtual bool send_ping() = 0;
  virtual bool ping_outstanding() const = 0;
};

}  // namespace weft::codec
