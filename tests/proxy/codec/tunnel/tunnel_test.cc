#include "proxy/codec/tunnel/tunnel.h"

#include <catch2/catch.hpp>

#include "tests/proxy/codec/http1/recorder.h"

namespace weft::codec::tunnel {
namespace {

struct Tunnel {
  explicit Tunnel(bool end = false) : codec(make_client_codec()), stream(codec->new_stream(events)) {
    http::RequestHead request(events.memory);
    stream.send_head(request, end);
  }
  void send(std::string_view bytes, bool end = false) {
    base::Buffer data;
    data.append(bytes);
    stream.send_body(data, end);
  }
  FeedState feed(std::string_view bytes) {
    input.append(bytes);
    return codec->feed(input);
  }
  void write() {
    codec->output().clear();
    codec->fill_output();
    codec->deliver_closed();
  }
  ResponseRecorder events;
  std::unique_ptr<ClientCodec> codec;
  ClientStream& stream;
  base::Buffer input;
};

TEST_CASE("a tunnel is answered 200, never from within the call that opens it") {
  Tunnel tunnel;
  CHECK(tunnel.events.log.empty());
  tunnel.codec->deliver_closed();
  CHECK(tunnel.events.log == "200");
  CHECK_FALSE(tunnel.events.ended);
  CHECK(tunnel.codec->output().empty());
}

TEST_CASE("the answer comes before the first bytes of a far end that speaks first") {
  Tunnel tunnel;
  CHECK(tunnel.feed("hello") == FeedState::kMore);
  CHECK(tunnel.events.log == "200");
  CHECK(tunnel.events.body == "hello");
}

TEST_CASE("bytes go as they are, and the halves end apart") {
  Tunnel tunnel;
  tunnel.send("a\r\n");
  CHECK(tunnel.codec->output().to_string() == "a\r\n");
  SECTION("ours first") {
    tunnel.send("b", true);
    CHECK(tunnel.codec->output_ended());
    tunnel.write();
    CHECK_FALSE(tunnel.events.closed);
    tunnel.feed("late");
    tunnel.codec->on_input_end();
  }
  SECTION("the far end's first") {
    tunnel.feed("late");
    CHECK(tunnel.codec->on_input_end() == FeedState::kMore);
    CHECK(tunnel.events.ended);
    tunnel.write();
    CHECK_FALSE(tunnel.events.closed);
    tunnel.send("b", true);
    CHECK(tunnel.codec->output().to_string() == "b");
    // Closing now would lose what waits to be written.
    tunnel.codec->deliver_closed();
    CHECK_FALSE(tunnel.events.closed);
  }
  tunnel.write();
  CHECK(tunnel.events.body == "late");
  CHECK(tunnel.events.ended);
  CHECK(tunnel.events.closed);
  CHECK_FALSE(tunnel.events.reset);
  CHECK(tunnel.codec->finished());
  CHECK_FALSE(tunnel.codec->must_reset());
}

TEST_CASE("a paused tunnel leaves what comes where it is") {
  Tunnel tunnel;
  tunnel.stream.pause_receiving(true);
  CHECK(tunnel.feed("wait") == FeedState::kPaused);
  CHECK(tunnel.events.body.empty());
  tunnel.stream.pause_receiving(false);
  CHECK(tunnel.feed("") == FeedState::kMore);
  CHECK(tunnel.events.body == "wait");
}

TEST_CASE("a tunnel that is given up resets its connection") {
  Tunnel tunnel;
  tunnel.send("half of it");
  tunnel.stream.reset(ResetReason::kCancel);
  CHECK(tunnel.codec->output().empty());
  tunnel.codec->deliver_closed();
  CHECK(tunnel.events.log.empty());
  CHECK(tunnel.events.closed);
  CHECK(tunnel.codec->finished());
  CHECK(tunnel.codec->must_reset());
  // An orderly end before the reset would be the word of a sender who is done.
  CHECK_FALSE(tunnel.codec->output_ended());
}

TEST_CASE("a lost connection is told as such") {
  Tunnel tunnel;
  tunnel.codec->on_connection_lost(ResetReason::kConnectionClosed, http::Cause::kUpstreamClosed);
  CHECK(tunnel.events.reset);
  CHECK(tunnel.events.cause == http::Cause::kUpstreamClosed);
  tunnel.codec->deliver_closed();
  CHECK(tunnel.events.closed);
  CHECK(tunnel.codec->finished());
}

TEST_CASE("a connection carries one tunnel, and none once it spoke to nobody") {
  Tunnel tunnel;
  CHECK_FALSE(tunnel.codec->can_start_stream());
  auto idle = make_client_codec();
  CHECK(idle->can_start_stream());
  base::Buffer banner;
  banner.append("220 ready");
  CHECK(idle->feed(banner) == FeedState::kClose);
  CHECK_FALSE(idle->can_start_stream());
  CHECK(idle->finished());
}

}  // namespace
}  // namespace weft::codec::tunnel
