#pragma once

#include "proxy/codec/codec.h"
#include "proxy/codec/http1/chunk_reader.h"
#include "proxy/codec/http1/head_parser.h"
#include "proxy/codec/http1/head_writer.h"

// The server's side of an HTTP/1 connection. It is its own stream handle, as there is one exchange at a time.

namespace weft::codec::http1 {

class ServerCodecImpl final : public ServerCodec, public ServerStream {
 public:
  ServerCodecImpl(const Limits& limits, ServerCodec::Events& events) : limits_(limits), events_(events) {}

  // ServerCodec
  FeedState feed(base::Buffer& input) override;
  FeedState on_input_end() override;
  void on_connection_lost(ResetReason reason, http::Cause cause) override;
  base::Buffer& output() override { return output_; }
  void fill_output() override {}
  void on_output_blocked(bool blocked) override;
  void deliver_closed() override;
  size_t open_streams() const override { return exchange_ == nullptr ? 0 : 1; }
  http::Cause cause() const override { return error_.cause; }
  std::string_view detail() const override { return error_.detail; }
  http::Version version() const override { return http::Version::kHttp11; }
  bool finished() const override { return ending_ && exchange_ == nullptr; }
  bool output_ended() const override { return in_ == In::kTunnel && out_ == Out::kEnded; }
  bool must_reset() const override { return must_reset_; }
  void give_up_head() override {
    if (exchange_ == nullptr && !ending_) {
      refuse({http::Cause::kRequestHeadersTimeout, "the request's head did not arrive in time"});
    }
  }
  void start_drain() override { draining_ = true; }
  void finish_drain() override {
    draining_ = true;
    if (exchange_ == nullptr) ending_ = true;
  }

  // ServerStream
  void send_informational(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, bool end) override;
  void send_body(base::Buffer& data, bool end) override;
  void send_trailers(const http::HeaderMap& trailers) override;
  void reset(ResetReason reason) override;
  void pause_receiving(bool paused) override { paused_ = paused; }
  size_t unsent_bytes() const override { return output_.size(); }
  uint32_t stream_id() const override { return exchanges_; }

 private:
  // What the next input bytes are.
  enum class In : uint8_t { kHead, kLength, kChunked, kAwaitUpgrade, kTunnel, kEnded };
  // What may be sent.
  enum class Out : uint8_t { kHead, kLength, kChunked, kUntilClose, kNoBody, kTunnel, kEnded };

  FeedState feed_head(base::Buffer& input);
  void begin_exchange(base::Buffer& input, size_t head_size);
  void refuse(ParseError error);
  void receive_length(base::Buffer& input);
  void receive_chunked(base::Buffer& input);
  void body_error(std::string_view detail);
  void end_sending();
  void close_if_ended();

  const Limits& limits_;
  ServerCodec::Events& events_;
  base::Buffer output_;
  RequestEvents* exchange_ = nullptr;
  HeadScanner scanner_;
  ChunkReader chunks_;
  Framing framing_;
  ParseError error_;
  In in_ = In::kHead;
  Out out_ = Out::kEnded;
  uint64_t in_left_ = 0;
  uint64_t out_left_ = 0;
  uint32_t exchanges_ = 0;
  uint32_t empty_lines_ = 0;
  uint32_t informational_ = 0;
  http::Method method_ = http::Method::kOther;
  http::Version request_version_ = http::Version::kHttp11;
  bool keep_alive_ = true;
  bool draining_ = false;
  bool ending_ = false;  // No exchange follows the present one.
  bool must_reset_ = false;
  bool paused_ = false;
  bool blocked_ = false;
  bool closed_ = false;  // Both halves of the exchange are over; its receiver is yet to be told.
};

}  // namespace weft::codec::http1
