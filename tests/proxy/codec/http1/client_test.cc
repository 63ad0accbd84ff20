#include <catch2/catch.hpp>

#include "proxy/codec/http1/http1.h"
#include "tests/proxy/codec/http1/recorder.h"

namespace weft::codec::http1 {
namespace {

struct Exchange {
  explicit Exchange(std::string_view method = "GET", bool end = true)
      : codec(make_client_codec(limits)), request(events.memory) {
    request.method = method;
    request.method_id = http::method_of(method);
    request.authority = "a";
    request.path = "/";
    if (method == "CONNECT") request.authority = "a:1";
    stream = &codec->new_stream(events);
    if (method == "UPGRADE") {
      request.method = "GET";
      request.upgrade = "websocket";
    }
    stream->send_head(request, end);
  }
  FeedState feed(std::string_view bytes, size_t step = SIZE_MAX) {
    FeedState state = FeedState::kMore;
    for (size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size())) {
      input.append(bytes.substr(at, std::min(step, bytes.size())));
      state = codec->feed(input);
    }
    return state;
  }
  Limits limits;
  ResponseRecorder events;
  std::unique_ptr<ClientCodec> codec;
  http::RequestHead request;
  ClientStream* stream;
  base::Buffer input;
};

TEST_CASE("a request is written with Host first and the framing its body needs") {
  CHECK(Exchange().codec->output().to_string() == "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  CHECK(Exchange("POST").codec->output().to_string() == "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
  Exchange chunked("POST", false);
  base::Buffer data;
  data.append("abc");
  chunked.stream->send_body(data, true);
  CHECK(chunked.codec->output().to_string() ==
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
}

TEST_CASE("an answer ends where its framing says, and the connection can be used again") {
  for (size_t step : {size_t{1}, size_t{3}, SIZE_MAX}) {
    for (std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}) {
      Exchange exchange;
      exchange.feed(answer, step);
      exchange.codec->deliver_closed();
      CHECK(exchange.events.body == "hello");
      CHECK(exchange.events.ended);
      CHECK(exchange.events.closed);
      CHECK(exchange.codec->can_start_stream());
    }
  }
}

TEST_CASE("HEAD, 204 and 304 have no body whatever their headers say") {
  Exchange head("HEAD");
  head.feed("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  CHECK(head.events.ended);
  for (std::string status : {"204 No Content", "304 Not Modified"}) {
    Exchange exchange;
    exchange.feed("HTTP/1.1 " + status + "\r\nContent-Length: 7\r\n\r\n");
    CHECK(exchange.events.ended);
  }
}

TEST_CASE("an answer without length ends with the connection") {
  Exchange exchange;
  exchange.feed("HTTP/1.1 200 OK\r\n\r\nabc");
  CHECK_FALSE(exchange.events.ended);
  exchange.codec->on_input_end();
  CHECK(exchange.events.ended);
  CHECK(exchange.events.body == "abc");
  CHECK_FALSE(exchange.codec->can_start_stream());
}

TEST_CASE("an answer cut short is a failure, and says whether it had begun") {
  Exchange begun;
  begun.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
  begun.codec->on_input_end();
  CHECK(begun.events.reset);
  CHECK(begun.events.cause == http::Cause::kUpstreamEarlyEnd);
  Exchange unanswered;
  unanswered.codec->on_input_end();
  CHECK(unanswered.events.cause == http::Cause::kUpstreamClosed);
  CHECK(unanswered.events.reason == ResetReason::kConnectionClosed);
}

TEST_CASE("a connection that served before and closes unused says so") {
  Exchange exchange;
  exchange.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  exchange.codec->deliver_closed();
  ResponseRecorder second;
  exchange.codec->new_stream(second).send_head(exchange.request, true);
  exchange.codec->on_input_end();
  CHECK(second.reason == ResetReason::kConnectionClosedUnused);
}

TEST_CASE("interim answers come before the answer") {
  Exchange exchange;
  exchange.feed(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
      "0\r\n\r\n",
      1);
  CHECK(exchange.events.interim == "100 103 ");
  CHECK(exchange.events.log == "200 [Content-Length=0]");
}

TEST_CASE("bytes after the answer, or without a request, spoil the connection") {
  Exchange extra;
  extra.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n");
  extra.codec->deliver_closed();
  CHECK(extra.events.ended);
  CHECK_FALSE(extra.codec->can_start_stream());
}

TEST_CASE("bad answers are upstream protocol errors") {
  for (std::string bad :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\nX: y\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    INFO(bad);
    Exchange exchange;
    CHECK(exchange.feed(bad) == FeedState::kFailed);
    CHECK(exchange.events.cause == http::Cause::kUpstreamProtocolError);
  }
}

TEST_CASE("an upgrade that is accepted becomes a tunnel; one that is not is an ordinary answer") {
  Exchange accepted("UPGRADE", false);
  CHECK(accepted.codec->output().to_string() ==
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  accepted.feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes");
  CHECK(accepted.events.head.status == 101);
  CHECK(accepted.events.body == "frames");
  Exchange refused("UPGRADE", false);
  refused.feed("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  CHECK(refused.events.body == "no");
  CHECK(refused.events.ended);
}

void send(ClientStream& stream, std::string_view bytes, bool end) {
  base::Buffer data;
  data.append(bytes);
  stream.send_body(data, end);
}

TEST_CASE("nothing of a tunnel is sent before the answer that begins it") {
  Exchange refused("UPGRADE", false);
  std::string head = refused.codec->output().to_string();
  send(*refused.stream, "GET /smuggled HTTP/1.1\r\n\r\n", false);
  CHECK(refused.codec->output().to_string() == head);
  refused.feed("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  CHECK(refused.codec->output().to_string() == head);
  refused.codec->deliver_closed();
  CHECK(refused.events.closed);

  Exchange accepted("UPGRADE", false);
  accepted.codec->output().clear();
  send(*accepted.stream, "early", true);
  CHECK_FALSE(accepted.codec->output_ended());
  accepted.feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nlate");
  CHECK(accepted.codec->output().to_string() == "early");
  CHECK(accepted.codec->output_ended());
  CHECK(accepted.events.body == "late");
  CHECK_FALSE(accepted.events.ended);
  accepted.codec->on_input_end();
  CHECK(accepted.events.ended);
}

TEST_CASE("what waits for a tunnel has a bound") {
  Exchange exchange("UPGRADE", false);
  send(*exchange.stream, std::string(exchange.limits.stream_buffer_high_bytes + 1, 'x'), false);
  CHECK_FALSE(exchange.events.blocked);
  exchange.codec->fill_output();
  CHECK(exchange.events.blocked);
  exchange.feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  CHECK_FALSE(exchange.events.blocked);
}

TEST_CASE("a request that cannot be sent whole is reset, and the receiver is told at the turn's end") {
  ResponseRecorder events;
  Limits limits;
  auto codec = make_client_codec(limits);
  ClientStream& stream = codec->new_stream(events);
  http::RequestHead request(events.memory);
  request.method = "POST";
  request.method_id = http::Method::kPost;
  request.authority = "a";
  request.path = "/";
  request.has_content_length = true;
  request.content_length = 3;
  stream.send_head(request, false);
  SECTION("longer than announced") { send(stream, "four", false); }
  SECTION("shorter than announced") { send(stream, "ab", true); }
  CHECK_FALSE(events.reset);
  codec->deliver_closed();
  CHECK(events.reset);
  CHECK(events.reason == ResetReason::kInternalError);
  CHECK(events.closed);
  CHECK_FALSE(codec->can_start_stream());
}

TEST_CASE("an answer that comes before its request is no answer to it") {
  ResponseRecorder events;
  Limits limits;
  auto codec = make_client_codec(limits);
  codec->new_stream(events);
  base::Buffer input;
  input.append("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  CHECK(codec->feed(input) == FeedState::kFailed);
  CHECK(events.cause == http::Cause::kUpstreamProtocolError);
}

TEST_CASE("content-length keeps its name and place") {
  ResponseRecorder events;
  Limits limits;
  auto codec = make_client_codec(limits);
  http::RequestHead request(events.memory);
  request.method = "POST";
  request.method_id = http::Method::kPost;
  request.authority = "a";
  request.path = "/";
  request.has_content_length = true;
  request.content_length = 2;
  request.headers.add("X-A", "1");
  request.headers.add("Content-LENGTH", "2");
  request.headers.add("X-B", "2");
  codec->new_stream(events).send_head(request, false);
  CHECK(codec->output().to_string() == "POST / HTTP/1.1\r\nhost: a\r\nX-A: 1\r\nContent-LENGTH: 2\r\nX-B: 2\r\n\r\n");
}

}  // namespace
}  // namespace weft::codec::http1
