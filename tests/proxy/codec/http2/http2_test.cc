#include "proxy/codec/http2/http2.h"

#include <catch2/catch.hpp>

#include "proxy/base/random.h"
#include "tests/proxy/codec/http1/recorder.h"

namespace weft::codec::http2 {
namespace {

// A client and a server whose bytes go to each other in pieces of random size.
struct Pair {
  explicit Pair(uint64_t seed = 1, Limits server_limits = Limits())
      : limits(server_limits),
        random(seed),
        client(make_client_codec(client_limits)),
        server(make_server_codec(limits, owner)) {}

  static bool transfer(Codec& from, Codec& to, base::Buffer& wire, base::Random& random) {
    from.fill_output();
    wire.move_from(from.output());
    if (wire.empty()) return false;
    base::Buffer piece;
    piece.move_from(wire, 1 + random.below(wire.size()));
    to.feed(piece);
    from.deliver_closed();
    to.deliver_closed();
    return true;
  }
  void run() {
    for (int i = 0; i < 100'000; ++i) {
      bool up = transfer(*client, *server, to_server, random);
      bool down = transfer(*server, *client, to_client, random);
      if (!up && !down) return;
    }
    FAIL("the two never fall silent");
  }
  ClientStream& start(ResponseRecorder& events, std::string_view method, std::string_view path, bool end) {
    http::RequestHead head(events.memory);
    head.method = method;
    head.method_id = http::method_of(method);
    head.scheme = "http";
    head.authority = "a";
    head.path = path;
    head.headers.add("X-Mixed-Case", "v");
    ClientStream& stream = client->new_stream(events);
    stream.send_head(head, end);
    return stream;
  }

  Limits limits, client_limits;
  base::Random random;
  ServerOwner owner;
  std::unique_ptr<ClientCodec> client;
  std::unique_ptr<ServerCodec> server;
  base::Buffer to_server, to_client;
};

std::string text_of(size_t n) {
  std::string text(n, ' ');
  for (size_t i = 0; i < n; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

TEST_CASE("requests and answers cross whole, however the bytes are cut") {
  for (uint64_t seed = 1; seed < 8; ++seed) {
    Pair pair(seed);
    ResponseRecorder events;
    ClientStream& stream = pair.start(events, "POST", "/p?q", false);
    base::Buffer body;
    body.append(text_of(100'000));
    stream.send_body(body, true);
    pair.run();
    REQUIRE(pair.owner.exchanges.size() == 1);
    RequestRecorder& got = *pair.owner.exchanges[0];
    CHECK(got.log == "POST a/p?q [x-mixed-case=v]\n");
    CHECK(got.body == text_of(100'000));
    CHECK(got.ended);
    answer(*pair.owner.handles[0], got.memory, 200, "hello");
    pair.run();
    CHECK(events.log == "200 [content-length=5]");
    CHECK(events.body == "hello");
    CHECK(events.closed);
    CHECK(got.closed);
    CHECK(pair.client->open_streams() == 0);
    CHECK(pair.server->open_streams() == 0);
  }
}

TEST_CASE("trailers end a message") {
  Pair pair;
  ResponseRecorder events;
  pair.start(events, "GET", "/", true);
  pair.run();
  base::Arena& arena = pair.owner.exchanges[0]->memory;
  http::ResponseHead head(arena);
  head.status = 200;
  pair.owner.handles[0]->send_head(head, false);
  base::Buffer data;
  data.append("x");
  pair.owner.handles[0]->send_body(data, false);
  http::HeaderMap trailers(arena);
  trailers.add("grpc-status", "0");
  pair.owner.handles[0]->send_trailers(trailers);
  pair.run();
  CHECK(events.body == "x{grpc-status=0}");
  CHECK(events.closed);
}

TEST_CASE("a paused stream gets no more than its window, and all of it after resuming") {
  Limits limits;
  limits.h2_initial_stream_window_bytes = 65'535;
  Pair pair(3, limits);
  ResponseRecorder events;
  ClientStream& stream = pair.start(events, "POST", "/", false);
  pair.run();
  pair.owner.handles[0]->pause_receiving(true);
  base::Buffer body;
  body.append(text_of(1'000'000));
  stream.send_body(body, true);
  pair.client->fill_output();
  CHECK(events.blocked);
  pair.run();
  CHECK(pair.owner.exchanges[0]->body.size() == 65'535);
  pair.owner.handles[0]->pause_receiving(false);
  pair.run();
  CHECK(pair.owner.exchanges[0]->body == text_of(1'000'000));
  CHECK_FALSE(events.blocked);
}

TEST_CASE("a reset tells the other side, with its reason") {
  Pair pair;
  ResponseRecorder events;
  pair.start(events, "GET", "/", true);
  pair.run();
  pair.owner.handles[0]->reset(ResetReason::kRefused);
  pair.run();
  CHECK(events.reset);
  CHECK(events.reason == ResetReason::kRefused);
  CHECK(events.cause == http::Cause::kUpstreamRefusedStream);
  CHECK(events.closed);
  CHECK(pair.owner.exchanges[0]->closed);
  CHECK_FALSE(pair.owner.exchanges[0]->reset);
}

TEST_CASE("an answer before the request's end stops the request") {
  Pair pair;
  ResponseRecorder events;
  pair.start(events, "POST", "/", false);
  pair.run();
  answer(*pair.owner.handles[0], pair.owner.exchanges[0]->memory, 413, "no");
  pair.run();
  CHECK(events.body == "no");
  CHECK(events.ended);
  CHECK(pair.owner.exchanges[0]->closed);
}

TEST_CASE("draining lets what is open end and then finishes") {
  Pair pair;
  ResponseRecorder events;
  pair.start(events, "GET", "/", true);
  pair.run();
  pair.server->start_drain();
  pair.run();
  CHECK(pair.client->closing());
  CHECK_FALSE(pair.server->finished());
  answer(*pair.owner.handles[0], pair.owner.exchanges[0]->memory, 200, "ok");
  pair.server->finish_drain();
  pair.run();
  CHECK(events.body == "ok");
  CHECK(pair.server->finished());
}

TEST_CASE("the peer's stream limit is kept") {
  Limits limits;
  limits.h2_max_concurrent_streams = 2;
  Pair pair(1, limits);
  pair.run();
  ResponseRecorder a, b;
  pair.start(a, "GET", "/1", true);
  CHECK(pair.client->can_start_stream());
  pair.start(b, "GET", "/2", true);
  CHECK_FALSE(pair.client->can_start_stream());
  pair.run();
  answer(*pair.owner.handles[0], pair.owner.exchanges[0]->memory, 200, "");
  pair.run();
  CHECK(pair.client->can_start_stream());
}

TEST_CASE("headers above the limit are answerable") {
  Limits limits;
  limits.max_header_bytes = 2'000;
  Pair pair(1, limits);
  ResponseRecorder events;
  http::RequestHead head(events.memory);
  head.method = "GET";
  head.method_id = http::Method::kGet;
  head.scheme = "http";
  head.authority = "a";
  head.path = "/";
  head.headers.add("x-large", std::string(5'000, 'x'));
  pair.client->new_stream(events).send_head(head, true);
  pair.run();
  REQUIRE(pair.owner.exchanges.size() == 1);
  CHECK(pair.owner.exchanges[0]->cause == http::Cause::kHeadersTooLarge);
  answer(*pair.owner.handles[0], pair.owner.exchanges[0]->memory, 431, "");
  pair.run();
  CHECK(events.head.status == 431);
}

TEST_CASE("an HTTP/1 upgrade crosses as an extended CONNECT") {
  Pair pair;
  pair.run();
  ResponseRecorder events;
  http::RequestHead head(events.memory);
  head.method = "GET";
  head.method_id = http::Method::kGet;
  head.scheme = "http";
  head.authority = "a";
  head.path = "/ws";
  head.upgrade = "websocket";
  pair.client->new_stream(events).send_head(head, false);
  pair.run();
  REQUIRE(pair.owner.exchanges.size() == 1);
  CHECK(pair.owner.exchanges[0]->head.upgrade == "websocket");
  http::ResponseHead accepted(pair.owner.exchanges[0]->memory);
  accepted.status = 101;
  pair.owner.handles[0]->send_head(accepted, false);
  pair.run();
  CHECK(events.head.status == 101);
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out;
  out += static_cast<char>(payload.size() >> 16);
  out += static_cast<char>(payload.size() >> 8);
  out += static_cast<char>(payload.size());
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out + std::string(payload);
}

// What the server makes of these frames after a preface.
struct Fed {
  explicit Fed(std::string_view frames, size_t cut = 1 << 20, Limits given = Limits()) : limits(given) {
    std::string all = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "") + std::string(frames);
    for (size_t at = 0; at < all.size() && state == FeedState::kMore; at += cut) {
      base::Buffer input;
      input.append(std::string_view(all).substr(at, cut));
      state = server->feed(input);
      server->fill_output();
    }
    server->deliver_closed();
  }
  // The last GOAWAY's error code, or -1.
  int goaway() const {
    std::string out = server->output().to_string();
    int code = -1;
    for (size_t at = 0; at + 9 <= out.size();) {
      auto byte = [&](size_t i) { return static_cast<uint8_t>(out[at + i]); };
      size_t length = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
      if (byte(3) == 7) code = byte(9 + 7);
      at += 9 + length;
    }
    return code;
  }
  Limits limits;
  ServerOwner owner;
  std::unique_ptr<ServerCodec> server = make_server_codec(limits, owner);
  FeedState state = FeedState::kMore;
};

const std::string kGet =
    "\x82\x86\x84\x41\x01"
    "a";  // HPACK: GET http / with authority a

TEST_CASE("a peer that goes on with a stream it had ended is told STREAM_CLOSED, however the bytes are cut") {
  size_t cut = GENERATE(size_t{1}, size_t{7}, size_t{1000});
  SECTION("DATA after its reset") {
    Fed fed(frame(1, 4, 1, kGet) + frame(3, 0, 1, std::string("\0\0\0\x8", 4)) + frame(0, 0, 1, "x"), cut);
    CHECK(fed.state == FeedState::kFailed);
    CHECK(fed.goaway() == 5);
    CHECK(fed.server->cause() == http::Cause::kDownstreamProtocolError);
  }
  SECTION("HEADERS after its end") {
    Fed fed(frame(1, 5, 1, kGet) + frame(1, 5, 1, kGet), cut);
    CHECK(fed.state == FeedState::kFailed);
    CHECK(fed.goaway() == 5);
  }
}

TEST_CASE("a stream id that was skipped cannot be used later") {
  Fed fed(frame(1, 5, 5, kGet) + frame(1, 5, 3, kGet));
  CHECK(fed.state == FeedState::kFailed);
  CHECK(fed.goaway() == 1);
  Fed gap(frame(1, 5, 5, kGet) + frame(1, 5, 7, kGet) + frame(1, 5, 101, kGet));
  CHECK(gap.state == FeedState::kMore);
  CHECK(gap.owner.exchanges.size() == 3);
}

TEST_CASE("what was on its way to a stream that we reset is no offence") {
  Fed fed(frame(1, 4, 1, kGet));
  fed.owner.handles[0]->reset(ResetReason::kCancel);
  fed.server->fill_output();
  base::Buffer late;
  late.append(frame(0, 0, 1, "late") + frame(0, 1, 1, "later"));
  CHECK(fed.server->feed(late) == FeedState::kMore);
  fed.server->fill_output();
  CHECK(fed.goaway() == -1);
}

TEST_CASE("a host that is not the authority makes the request malformed") {
  auto host = [](const std::string& name) { return kGet + std::string("\x0f\x17\x01", 3) + name; };
  Fed same(frame(1, 5, 1, host("a")));
  CHECK(same.owner.exchanges.at(0)->log == "GET a/ end\n");
  Fed other(frame(1, 5, 1, host("b")));
  CHECK(other.owner.exchanges.at(0)->log == "");
  CHECK(other.owner.exchanges.at(0)->closed);
}

TEST_CASE(":authority is host and port") {
  auto authority = [](std::string_view name) {
    return "\x82\x86\x84\x41" + std::string(1, static_cast<char>(name.size())) + std::string(name);
  };
  Fed good(frame(1, 5, 1, authority("[::1]:80")));
  CHECK(good.owner.exchanges.at(0)->log == "GET [::1]:80/ end\n");
  for (std::string_view name : {"me@a", "a/b", ":80", "a:b", "[::1"}) {
    Fed bad(frame(1, 5, 1, authority(name)));
    INFO(name);
    CHECK(bad.owner.exchanges.at(0)->log == "");
    CHECK(bad.owner.exchanges.at(0)->closed);
    CHECK(bad.goaway() == -1);
  }
}

TEST_CASE("CONNECT without a port is answered 400") {
  auto connect = [](std::string_view to) {
    return std::string("\x42\x07") + "CONNECT" + "\x41" + std::string(1, static_cast<char>(to.size())) +
           std::string(to);
  };
  Fed good(frame(1, 4, 1, connect("a:1")));
  CHECK_FALSE(good.owner.exchanges.at(0)->reset);
  Fed bad(frame(1, 4, 1, connect("a")));
  CHECK(bad.owner.exchanges.at(0)->reset);
  CHECK(bad.owner.exchanges.at(0)->cause == http::Cause::kBadRequest);
}

TEST_CASE("a malformed message ends the connection where the configuration says so") {
  const std::string upper = kGet + std::string("\x00\x01X\x01y", 5);
  const std::string host = kGet + std::string("\x0f\x17\x01", 3) + "b";
  for (const std::string& head : {upper, host}) {
    Limits limits;
    Fed alone(frame(1, 5, 1, head), 1 << 20, limits);
    CHECK(alone.goaway() == -1);
    CHECK(alone.owner.exchanges.at(0)->closed);
    limits.h2_malformed_ends_connection = true;
    Fed all(frame(1, 5, 1, head), 1 << 20, limits);
    CHECK(all.goaway() == 1);
    CHECK(all.server->cause() == http::Cause::kDownstreamProtocolError);
    CHECK(all.server->finished());
  }
}

// Feeds the frame again and again in one read; how often until the connection is refused.
int repeats_until_refused(const std::function<std::string(int)>& make, http::Cause* cause, std::string* detail) {
  ServerOwner owner;
  Limits limits;
  auto server = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, ""));
  server->feed(input);
  for (int i = 0; i < 20'000; i += 100) {
    std::string many;
    for (int j = 0; j < 100; ++j) many += make(i + j);
    input.append(many);
    FeedState state = server->feed(input);
    server->deliver_closed();
    server->fill_output();
    server->output().clear();
    server->deliver_closed();
    if (state == FeedState::kFailed) {
      *cause = server->cause();
      *detail = server->detail();
      return i;
    }
  }
  return -1;
}

TEST_CASE("floods run into the work budget") {
  http::Cause cause = http::Cause::kNone;
  std::string detail;
  const std::string get =
      "\x82\x86\x84\x41\x01"
      "a";  // HPACK: GET http / with authority a
  SECTION("rapid reset") {
    int at = repeats_until_refused(
        [&](int i) {
          uint32_t id = static_cast<uint32_t>(i) * 2 + 1;
          return frame(1, 5, id, get) + frame(3, 0, id, std::string("\0\0\0\x8", 4));
        },
        &cause, &detail);
    CHECK(at >= 0);
    CHECK(detail == "too many stream resets");
  }
  SECTION("SETTINGS") {
    CHECK(repeats_until_refused([](int) { return frame(4, 0, 0, ""); }, &cause, &detail) >= 0);
    CHECK(detail == "too many SETTINGS frames");
  }
  SECTION("PING") {
    CHECK(repeats_until_refused([](int) { return frame(6, 0, 0, "12345678"); }, &cause, &detail) >= 0);
    CHECK(detail == "too many PING frames");
  }
  SECTION("PRIORITY") {
    CHECK(repeats_until_refused([](int) { return frame(2, 0, 1, std::string("\0\0\0\0\1", 5)); }, &cause, &detail) >=
          0);
    CHECK(detail == "too many PRIORITY frames");
  }
  SECTION("small window updates") {
    CHECK(repeats_until_refused([](int) { return frame(8, 0, 0, std::string("\0\0\0\1", 4)); }, &cause, &detail) >= 0);
    CHECK(detail == "too many small window updates");
  }
  SECTION("empty DATA frames") {
    CHECK(repeats_until_refused(
              [&](int i) {
                return i == 0 ? frame(1, 4, 1,
                                      "\x83\x86\x84\x41\x01"
                                      "a")
                              : frame(0, 0, 1, "");
              },
              &cause, &detail) >= 0);
    CHECK(detail == "too many empty frames");
  }
  SECTION("CONTINUATION") {
    CHECK(repeats_until_refused([&](int i) { return i == 0 ? frame(1, 0, 1, get) : frame(9, 0, 1, ""); }, &cause,
                                &detail) >= 0);
    // nghttp2 refuses the first few beyond its own bound already.
    CHECK(cause == http::Cause::kDownstreamProtocolError);
    return;
  }
  CHECK(cause == http::Cause::kWorkBudgetExceeded);
}

TEST_CASE("PINGs whose answers are not read end the connection, however patiently they come") {
  Fed fed("");
  FeedState state = FeedState::kMore;
  int pings = 0;
  while (state == FeedState::kMore && pings < 20'000) {
    base::Buffer input;
    input.append(frame(6, 0, 0, "12345678"));
    state = fed.server->feed(input);
    fed.server->fill_output();
    ++pings;
  }
  CHECK(state == FeedState::kFailed);
  CHECK(fed.server->cause() == http::Cause::kWorkBudgetExceeded);
  CHECK(fed.server->output().size() < 256 * 1024);
}

TEST_CASE("ordinary heavy use is not taken for a flood") {
  Pair pair(9);
  for (int i = 0; i < 20'000; ++i) {
    ResponseRecorder events;
    ClientStream& stream = pair.start(events, "GET", "/", true);
    pair.run();
    if (i % 4 == 3) {
      stream.reset(ResetReason::kCancel);
    } else {
      answer(*pair.owner.handles.back(), pair.owner.exchanges.back()->memory, 200, "x");
    }
    pair.run();
    REQUIRE(events.closed);
    pair.owner.exchanges.clear();
    pair.owner.handles.clear();
  }
  CHECK(pair.server->cause() == http::Cause::kNone);
}

}  // namespace
}  // namespace weft::codec::http2
