#include <catch2/catch.hpp>

#include "proxy/codec/http1/http1.h"
#include "tests/proxy/codec/http1/recorder.h"

namespace weft::codec::http1 {
namespace {

struct Run {
  std::string log;  // Heads, bodies and ends of all exchanges, and how the connection stands.
  bool refused = false;
  http::Cause cause = http::Cause::kNone;
  std::string output;
};

// Feeds `bytes` in pieces of `step`, answering each whole request with 200 and no body.
Run run(std::string_view bytes, size_t step, Limits limits = Limits()) {
  ServerOwner owner;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  size_t answered = 0;
  auto turn = [&] {
    for (int i = 0; i < 100; ++i) {
      codec->feed(input);
      while (answered < owner.exchanges.size()) {
        RequestRecorder& exchange = *owner.exchanges[answered];
        if (!exchange.ended && !exchange.reset) break;
        answer(*owner.handles[answered], exchange.memory, exchange.reset ? 400 : 200, "");
        ++answered;
      }
      size_t before = input.size();
      codec->deliver_closed();
      if (input.empty() || (before == input.size() && codec->open_streams() != 0)) break;
    }
  };
  for (size_t at = 0; at < bytes.size(); at += step) {
    input.append(bytes.substr(at, step));
    turn();
  }
  Run result;
  for (const auto& exchange : owner.exchanges) {
    result.log += exchange->log + exchange->body + (exchange->ended ? "|" : "~");
    if (exchange->reset) {
      result.refused = true;
      result.cause = exchange->cause;
    }
  }
  result.log += codec->finished() ? "closed" : "open";
  result.output = codec->output().to_string();
  return result;
}

// However the bytes are cut, the outcome is the same.
Run run_all_ways(const std::string& bytes, Limits limits = Limits()) {
  Run whole = run(bytes, bytes.size(), limits);
  for (size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}}) {
    Run cut = run(bytes, step, limits);
    INFO("cut into pieces of " << step << ": " << bytes);
    CHECK(cut.log == whole.log);
    CHECK(cut.cause == whole.cause);
    CHECK(cut.output == whole.output);
  }
  return whole;
}

TEST_CASE("a request's head comes out as it went in, without what belongs to the connection") {
  Run got = run_all_ways(
      "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-One:  1 \r\nConnection: close, X-Hop\r\nX-Hop: 2\r\n\r\n");
  CHECK(got.log == "GET example.com/a?b=c [X-One=1] end\n|closed");
  CHECK(got.output == "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_CASE("pipelined requests are answered in order") {
  Run got = run_all_ways(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyzGET /3 "
      "HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(got.log == "GET a/1 end\n|POST a/2 [Content-Length=3]\nxyz|GET a/3 end\n|open");
}

TEST_CASE("chunks are taken off, with extensions, and trailers only where they are wanted") {
  std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: "
      "v\r\n\r\n";
  CHECK(run_all_ways(request).log == "POST a/\nabc0123456789|open");
  Limits limits;
  limits.enable_trailers = true;
  CHECK(run_all_ways(request, limits).log == "POST a/\nabc0123456789{X-T=v}|open");
}

TEST_CASE("an absolute target replaces Host") {
  CHECK(run_all_ways("GET http://real.example/x HTTP/1.1\r\nHost: other\r\n\r\n").log ==
        "GET real.example/x end\n|open");
}

TEST_CASE("what has led to request smuggling is refused") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (std::string bad : {
           head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
           head + "Content-Length: 3, 3\r\n\r\nabc",
           head + "Content-Length: +3\r\n\r\nabc",
           head + "Content-Length: 0x3\r\n\r\nabc",
           head + "Content-Length: -1\r\n\r\n",
           head + "Content-Length: 99999999999999999999\r\n\r\n",
           head + "Content-Length:\r\n\r\n",
           head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
           head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
           head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
           head + "Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n",
           head + " X: folded\r\n\r\n",
           head + "X: a\r\n b\r\n\r\n",
           head + "X: a\nY: b\r\n\r\n",
           head + "X: a\rY: b\r\n\r\n",
           head + std::string("X: a\0b\r\n\r\n", 10),
           head + "X y: b\r\n\r\n",
           head + ": b\r\n\r\n",
           head + "X\r\n\r\n",
           head + "Host: b\r\n\r\n",
           std::string("GET / HTTP/1.1\r\n\r\n"),
           std::string("GET / HTTP/1.1\nHost: a\n\n"),
           std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
           std::string("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / http/1.1\r\nHost: a\r\n\r\n"),
           std::string(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
           std::string("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
       }) {
    INFO(bad);
    Run got = run_all_ways(bad + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(got.refused);
    CHECK(got.cause == http::Cause::kBadRequest);
    CHECK(got.log.find("smuggled") == std::string::npos);
    CHECK(got.log.ends_with("closed"));
  }
}

TEST_CASE("malformed chunks end the connection") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string bad :
       {"x\r\n", "+3\r\nabc\r\n", "0x3\r\nabc\r\n", " 3\r\nabc\r\n", "3 \r\nabc\r\n", "3\nabc\r\n", "3\r\nabcd\r\n",
        "ffffffffffffffffff\r\n", "\r\n", "3\r\nabc\n0\r\n\r\n", "0\r\nX: a\nY: b\r\n\r\n", "0\r\n X: a\r\n\r\n"}) {
    INFO(bad);
    Run got = run_all_ways(head + bad + "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(got.refused);
    CHECK(got.cause == http::Cause::kDownstreamProtocolError);
    CHECK(got.log.find("smuggled") == std::string::npos);
  }
}

TEST_CASE("limits have causes of their own") {
  Limits limits;
  limits.max_header_bytes = 200;
  limits.max_target_bytes = 50;
  limits.max_header_count = 3;
  CHECK(run_all_ways("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(300, 'x') + "\r\n\r\n", limits).cause ==
        http::Cause::kHeadersTooLarge);
  CHECK(run_all_ways("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", limits).cause ==
        http::Cause::kHeadersTooLarge);
  CHECK(run_all_ways("GET /" + std::string(60, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits).cause ==
        http::Cause::kUriTooLong);
  CHECK(run_all_ways("GET / HTTP/2.0\r\nHost: a\r\n\r\n").cause == http::Cause::kVersionNotSupported);
  CHECK(run_all_ways("GET / HTTP/1.0\r\n\r\n").cause == http::Cause::kHttp10NotAccepted);
}

TEST_CASE("an answer without length is chunked, and its end is marked") {
  ServerOwner owner;
  Limits limits;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  codec->feed(input);
  http::ResponseHead head(owner.exchanges[0]->memory);
  head.status = 200;
  owner.handles[0]->send_head(head, false);
  base::Buffer data;
  data.append("hello");
  owner.handles[0]->send_body(data, false);
  base::Buffer none;
  owner.handles[0]->send_body(none, true);
  codec->deliver_closed();
  CHECK(codec->output().to_string() == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  CHECK(owner.exchanges[0]->closed);
  CHECK_FALSE(codec->finished());
}

TEST_CASE("an answer that ends short or runs long never looks whole") {
  for (std::string_view body : {"abc", "abcdefgh"}) {
    ServerOwner owner;
    Limits limits;
    auto codec = make_server_codec(limits, owner);
    base::Buffer input;
    input.append("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    codec->feed(input);
    http::ResponseHead head(owner.exchanges[0]->memory);
    head.status = 200;
    head.has_content_length = true;
    head.content_length = 5;
    owner.handles[0]->send_head(head, false);
    base::Buffer data;
    data.append(body);
    owner.handles[0]->send_body(data, true);
    codec->deliver_closed();
    CHECK(codec->finished());
    CHECK(codec->output().to_string().find("abcde") == std::string::npos);
  }
}

TEST_CASE("a header that would split the answer is not sent") {
  ServerOwner owner;
  Limits limits;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  codec->feed(input);
  http::ResponseHead head(owner.exchanges[0]->memory);
  head.status = 200;
  head.headers.add("x", "a\r\nset-cookie: evil");
  owner.handles[0]->send_head(head, true);
  CHECK(codec->output().empty());
  codec->deliver_closed();
  CHECK(codec->finished());
}

TEST_CASE("a tunnel begins after the 101 and not before") {
  ServerOwner owner;
  Limits limits;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  CHECK(codec->feed(input) == FeedState::kPaused);
  CHECK(owner.exchanges[0]->body.empty());
  CHECK(owner.exchanges[0]->head.upgrade == "websocket");
  http::ResponseHead head(owner.exchanges[0]->memory);
  head.status = 101;
  head.upgrade = "websocket";
  owner.handles[0]->send_head(head, false);
  codec->feed(input);
  CHECK(owner.exchanges[0]->body == "early");
  CHECK(codec->output().to_string() ==
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
}

TEST_CASE("a paused exchange takes no body") {
  ServerOwner owner;
  Limits limits;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
  codec->feed(input);
  owner.handles[0]->pause_receiving(true);
  input.append("abcdef");
  CHECK(codec->feed(input) == FeedState::kPaused);
  CHECK(owner.exchanges[0]->body.empty());
  owner.handles[0]->pause_receiving(false);
  codec->feed(input);
  CHECK(owner.exchanges[0]->body == "abcdef");
}

TEST_CASE("a tunnel's request has no body, and CONNECT a port") {
  for (std::string bad : {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc",
                          "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                          "CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n", "CONNECT :1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
                          "CONNECT [::1] HTTP/1.1\r\nHost: a:1\r\n\r\n"}) {
    INFO(bad);
    CHECK(run_all_ways(bad).cause == http::Cause::kBadRequest);
  }
}

TEST_CASE("Connection cannot name so many headers that some slip through") {
  std::string names, fields;
  for (int i = 0; i < 16; ++i) {
    names += (i == 0 ? "x" : ", x") + std::to_string(i);
    fields += "x" + std::to_string(i) + ": 1\r\n";
  }
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n" + fields;
  CHECK(run_all_ways(head + "Connection: " + names + "\r\n\r\n").log == "GET a/ end\n|open");
  CHECK(run_all_ways(head + "Connection: " + names + ", x16\r\n\r\n").cause == http::Cause::kBadRequest);
}

TEST_CASE("OPTIONS for a URL without a path is for the whole server") {
  CHECK(run_all_ways("OPTIONS http://b:1 HTTP/1.1\r\nHost: a\r\n\r\n").log == "OPTIONS b:1* end\n|open");
  CHECK(run_all_ways("OPTIONS http://b:1/ HTTP/1.1\r\nHost: a\r\n\r\n").log == "OPTIONS b:1/ end\n|open");
}

TEST_CASE("a 101 that nobody asked for is never sent") {
  ServerOwner owner;
  Limits limits;
  auto codec = make_server_codec(limits, owner);
  base::Buffer input;
  input.append("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  codec->feed(input);
  answer(*owner.handles[0], owner.exchanges[0]->memory, 101, "");
  CHECK(codec->output().empty());
  codec->deliver_closed();
  CHECK(codec->finished());
}

}  // namespace
}  // namespace weft::codec::http1
