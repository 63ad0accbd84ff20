#include "proxy/codec/http2/http2.h"

#include "proxy/codec/http2/session.h"

namespace weft::codec::http2 {
namespace {

// What both sides are to their connection.
template <typename Side>
class SessionCodec : public Side {
 public:
  SessionCodec(const Limits& limits, bool server) : session_(limits, server) {}
  void on_connection_lost(ResetReason reason, http::Cause cause) override { session_.lose_all(reason, cause); }
  base::Buffer& output() override { return session_.output; }
  void fill_output() override { session_.fill_output(); }
  void on_output_blocked(bool blocked) override { session_.on_output_blocked(blocked); }
  void deliver_closed() override { session_.deliver_closed(); }
  size_t open_streams() const override { return session_.open; }
  http::Cause cause() const override { return session_.cause; }
  std::string_view detail() const override { return session_.detail; }
  http::Version version() const override { return http::Version::kHttp2; }

 protected:
  Session session_;
};

class Server final : public SessionCodec<ServerCodec> {
 public:
  Server(const Limits& limits, ServerCodec::Events& events) : SessionCodec(limits, true) {
    session_.server_events = &events;
  }
  FeedState feed(base::Buffer& input) override { return session_.feed(input); }
  FeedState on_input_end() override {
    session_.lose_all(ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
    return FeedState::kClose;
  }
  bool finished() const override {
    if (session_.failed) return true;
    return session_.open == 0 && (final_goaway_ || session_.goaway_received) &&
           nghttp2_session_want_write(session_.ng) == 0;
  }
  void start_drain() override { nghttp2_submit_shutdown_notice(session_.ng); }
  void finish_drain() override {
    if (final_goaway_) return;
    final_goaway_ = true;
    nghttp2_submit_goaway(session_.ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.ng),
                          NGHTTP2_NO_ERROR, nullptr, 0);
  }

 private:
  bool final_goaway_ = false;
};

class Client final : public SessionCodec<ClientCodec> {
 public:
  explicit Client(const Limits& limits) : SessionCodec(limits, false) {}
  FeedState feed(base::Buffer& input) override {
    FeedState state = session_.feed(input);
    if (state == FeedState::kMore && closing() && session_.open == 0) return FeedState::kClose;
    return state;
  }
  FeedState on_input_end() override {
    session_.lose_all(ResetReason::kConnectionClosed, http::Cause::kUpstreamClosed);
    return FeedState::kClose;
  }
  bool finished() const override { return session_.failed || (session_.open == 0 && closing()); }
  ClientStream& new_stream(ResponseEvents& events) override { return session_.new_client_stream(events); }
  bool can_start_stream() const override { return !closing() && session_.open < max_concurrent_streams(); }
  bool closing() const override {
    return session_.failed || session_.goaway_received || nghttp2_session_check_request_allowed(session_.ng) == 0;
  }
  uint32_t max_concurrent_streams() const override {
    uint32_t peer = nghttp2_session_get_remote_settings(session_.ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return std::min(peer, session_.limits.h2_max_concurrent_streams);
  }
  bool send_ping() override {
    session_.ping_outstanding = true;
    return nghttp2_submit_ping(session_.ng, NGHTTP2_FLAG_NONE, nullptr) == 0;
  }
  bool ping_outstanding() const override { return session_.ping_outstanding; }
};

}  // namespace

std::unique_ptr<ServerCodec> make_server_codec(const Limits& limits, ServerCodec::Events& events) {
  return std::make_unique<Server>(limits, events);
}

std::unique_ptr<ClientCodec> make_client_codec(const Limits& limits) { return std::make_unique<Client>(limits); }

}  // namespace weft::codec::http2
