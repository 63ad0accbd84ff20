#pragma once

#include "proxy/codec/codec.h"
#include "proxy/codec/http1/chunk_reader.h"
#include "proxy/codec/http1/head_parser.h"
#include "proxy/codec/http1/head_writer.h"

// The client's side of an HTTP/1 connection. It is its own stream handle, as there is one exchange at a time.

namespace weft::codec::http1 {

class ClientCodecImpl final : public ClientCodec, public ClientStream {
 public:
  explicit ClientCodecImpl(const Limits& limits) : limits_(limits) {}

  // ClientCodec
  FeedState feed(base::Buffer& input) override;
  FeedState on_input_end() override;
  void on_connection_lost(ResetReason reason, http::Cause cause) override;
  base::Buffer& output() override { return output_; }
  void fill_output() override;
  bool output_ended() const override { return in_ == In::kTunnel && out_ == Out::kEnded; }
  void on_output_blocked(bool blocked) override;
  void deliver_closed() override;
  size_t open_streams() const override { return exchange_ == nullptr ? 0 : 1; }
  http::Cause cause() const override { return error_.cause; }
  std::string_view detail() const override { return error_.detail; }
  http::Version version() const override { return http::Version::kHttp11; }
  bool finished() const override { return ending_ && exchange_ == nullptr; }
  ClientStream& new_stream(ResponseEvents& events) override;
  bool can_start_stream() const override { return exchange_ == nullptr && !ending_; }
  bool closing() const override { return ending_; }
  uint32_t max_concurrent_streams() const override { return 1; }
  bool send_ping() override { return false; }
  bool ping_outstanding() const override { return false; }

  // ClientStream
  void send_head(const http::RequestHead& head, bool end) override;
  void send_body(base::Buffer& data, bool end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void reset(ResetReason reason) override;
  void pause_receiving(bool paused) override { paused_ = paused; }
  size_t unsent_bytes() const override { return output_.size() + held_.size(); }
  uint32_t stream_id() const override { return exchanges_; }

 private:
  enum class In : uint8_t { kIdle, kHead, kLength, kChunked, kUntilClose, kTunnel, kEnded };
  enum class Out : uint8_t { kIdle, kLength, kChunked, kAwaitUpgrade, kTunnel, kEnded };

  bool feed_head(base::Buffer& input);
  void begin_answer(base::Buffer& input, size_t head_size);
  void receive_chunked(base::Buffer& input);
  void fail(http::Cause cause, std::string_view detail, ResetReason reason);
  void end_sending();
  void begin_tunnel();
  void tell_blocked();
  void fail_later(std::string_view detail);
  void close_if_ended();

  const Limits& limits_;
  base::Buffer output_;
  base::Buffer held_;  // What is for the tunnel and came before the answer that begins it.
  ResponseEvents* exchange_ = nullptr;
  HeadScanner scanner_;
  ChunkReader chunks_;
  Framing framing_;
  ParseError error_;
  In in_ = In::kIdle;
  Out out_ = Out::kIdle;
  uint64_t in_left_ = 0;
  uint64_t out_left_ = 0;
  uint32_t exchanges_ = 0;
  uint32_t informational_ = 0;
  http::Method method_ = http::Method::kOther;
  bool upgrade_asked_ = false;
  bool extended_connect_ = false;
  bool answer_begun_ = false;
  bool ending_ = false;
  bool paused_ = false;
  bool held_end_ = false;      // The tunnel's sending half ends behind held_.
  bool blocked_ = false;       // The connection's output is above its watermark.
  bool told_blocked_ = false;  // What the exchange was last told.
  bool reset_due_ = false;     // on_reset() is owed, and may not come from within the receiver's own call.
  bool closed_ = false;
};

}  // namespace weft::codec::http1
