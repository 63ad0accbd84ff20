#include "proxy/codec/tunnel/tunnel.h"

namespace weft::codec::tunnel {
namespace {

class Tunnel final : public ClientCodec, public ClientStream {
 public:
  // ClientCodec
  FeedState feed(base::Buffer& input) override {
    if (exchange_ == nullptr || in_ended_) {
      // It speaks while nobody listens: the next tunnel must not begin with this.
      spent_ = true;
      input.clear();
      return FeedState::kClose;
    }
    answer();
    if (paused_) return FeedState::kPaused;
    // The receiver may have ended it from within answer().
    if (!input.empty() && !closed_) exchange_->on_body(input, false);
    input.clear();
    return FeedState::kMore;
  }

  FeedState on_input_end() override {
    spent_ = true;
    if (exchange_ == nullptr) return FeedState::kClose;
    answer();
    if (in_ended_) return FeedState::kMore;
    in_ended_ = true;
    base::Buffer none;
    exchange_->on_body(none, true);
    close_if_ended();
    return FeedState::kMore;
  }

  void on_connection_lost(ResetReason reason, http::Cause cause) override {
    spent_ = true;
    cause_ = cause;
    if (exchange_ == nullptr || closed_) return;
    end_both();
    exchange_->on_reset(reason, cause);
  }

  base::Buffer& output() override { return output_; }
  void fill_output() override { close_if_ended(); }
  void on_output_blocked(bool blocked) override {
    if (exchange_ != nullptr && !closed_) exchange_->on_send_blocked(blocked);
  }

  void deliver_closed() override {
    answer();
    if (!closed_) return;
    ResponseEvents* exchange = exchange_;
    exchange_ = nullptr;
    closed_ = false;
    exchange->on_stream_closed();
  }

  size_t open_streams() const override { return exchange_ == nullptr ? 0 : 1; }
  http::Cause cause() const override { return cause_; }
  std::string_view detail() const override { return {}; }
  http::Version version() const override { return http::Version::kHttp11; }
  bool finished() const override { return spent_ && exchange_ == nullptr; }
  bool output_ended() const override { return out_ended_ && !must_reset_; }
  bool must_reset() const override { return must_reset_; }

  ClientStream& new_stream(ResponseEvents& events) override {
    WEFT_ASSERT(can_start_stream());
    exchange_ = &events;
    spent_ = true;
    return *this;
  }
  bool can_start_stream() const override { return !spent_; }
  bool closing() const override { return spent_; }
  uint32_t max_concurrent_streams() const override { return 1; }
  bool send_ping() override { return false; }
  bool ping_outstanding() const override { return false; }

  // ClientStream
  void send_head(const http::RequestHead&, bool end) override {
    answer_due_ = true;
    if (end) out_ended_ = true;
  }
  void send_body(base::Buffer& data, bool end) override {
    if (out_ended_) {
      data.clear();
      return;
    }
    output_.move_from(data);
    if (end) out_ended_ = true;
  }
  void send_trailers(const http::HeaderMap&) override { out_ended_ = true; }
  void reset(ResetReason) override {
    if (exchange_ == nullptr || closed_) return;
    // The endpoint must not take what it got so far for the whole.
    must_reset_ = true;
    end_both();
  }
  void pause_receiving(bool paused) override { paused_ = paused; }
  size_t unsent_bytes() const override { return output_.size(); }
  uint32_t stream_id() const override { return 1; }

 private:
  // The connection stands, so the tunnel does.
  void answer() {
    if (!answer_due_) return;
    answer_due_ = false;
    http::ResponseHead& head = exchange_->response_head();
    head.status = 200;
    exchange_->on_response_head(false);
  }
  void end_both() {
    answer_due_ = false;
    in_ended_ = out_ended_ = closed_ = true;
    output_.clear();
  }
  // Only once all bytes went: closing the connection earlier would lose them.
  void close_if_ended() {
    if (exchange_ != nullptr && in_ended_ && out_ended_ && output_.empty()) closed_ = true;
  }

  base::Buffer output_;
  ResponseEvents* exchange_ = nullptr;
  http::Cause cause_ = http::Cause::kNone;
  bool answer_due_ = false;
  bool in_ended_ = false;
  bool out_ended_ = false;
  bool paused_ = false;
  bool spent_ = false;   // No (further) exchange can begin.
  bool closed_ = false;  // Both halves are over; the receiver is yet to be told.
  bool must_reset_ = false;
};

}  // namespace

std::unique_ptr<ClientCodec> make_client_codec() { return std::make_unique<Tunnel>(); }

}  // namespace weft::codec::tunnel
