#include <catch2/catch.hpp>

#include "tests/proxy/codec/http1/codec_driver.h"

namespace weft::codec::http1 {
namespace {

bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

// What the codec tells of an answer that comes at once, and byte by byte, which must not differ. `ended`: then the
// connection ends.
std::string told(std::string_view bytes, bool ended = false, http::Method method = http::Method::kGet,
                 std::string_view upgrade = {}) {
  ClientDriver whole(method, upgrade), pieces(method, upgrade);
  whole.feed(bytes);
  for (char c : bytes) pieces.feed(std::string_view(&c, 1));
  if (ended) whole.end_input(), pieces.end_input();
  CHECK(whole.comparable() == pieces.comparable());
  CHECK(whole.codec().closing() == pieces.codec().closing());
  return whole.transcript;
}

TEST_CASE("an answer's body is framed by length, by chunks or by the connection's end") {
  CHECK(told("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none") == "[200 OK Content-Length=3;]one|");
  CHECK(told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n") == "[200 OK]one|");
  CHECK(told("HTTP/1.1 200 OK\r\n\r\nall", true) == "[200 OK]all|");
  CHECK(told("HTTP/1.0 200 OK\r\n\r\nall", true) == "[200 OK]all|");
}

TEST_CASE("answers that never have a body") {
  CHECK(told("HTTP/1.1 204 No Content\r\n\r\n") == "[204 No Content]|");
  CHECK(told("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") == "[304 Not Modified Content-Length=5;]|");
  CHECK(told("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n") == "[304 Not Modified]|");
  CHECK(told("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, http::Method::kHead) ==
        "[200 OK Content-Length=5;]|");
}

TEST_CASE("interim answers come before the one") {
  CHECK(told("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
             "OK\r\nContent-Length: 0\r\n\r\n") == "(100)(103)[200 OK Content-Length=0;]|");
}

TEST_CASE("a flood of interim answers ends the connection") {
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += "HTTP/1.1 103 Early Hints\r\n\r\n";
  CHECK(ends_with(told(flood), "!upstream_protocol_error"));
}

TEST_CASE("answers that could be framed in two ways, or are no HTTP/1, are errors") {
  for (std::string answer : {
           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
           "HTTP/1.1 200 OK\nContent-Length: 3\n\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 2000 OK\r\n\r\n",
           "HTTP/1.1 2x0 OK\r\n\r\n",
           "HTTP/1.1 099 OK\r\n\r\n",
           "HTTP/2.0 200 OK\r\n\r\n",
           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
           "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       }) {
    CAPTURE(answer);
    CHECK(told(answer) == "!upstream_protocol_error");
  }
}

TEST_CASE("a body that breaks off is reset, never ended") {
  CHECK(told("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true) ==
        "[200 OK Content-Length=10;]short!upstream_early_end");
  CHECK(told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", true) ==
        "[200 OK]short!upstream_early_end");
  CHECK(told("HTTP/1.1 200 OK\r\nContent-", true) == "!upstream_early_end");
  CHECK(told("", true) == "!upstream_closed");
}

TEST_CASE("bytes behind an answer end the connection") {
  for (std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneX", "HTTP/1.1 204 No Content\r\n\r\nX",
                             "HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\nX"}) {
    CAPTURE(answer);
    ClientDriver driver;
    driver.feed(answer);
    CHECK(driver.codec().closing());
    CHECK_FALSE(driver.codec().can_start_stream());
    CHECK(ends_with(driver.transcript, "|"));
  }
}

TEST_CASE("a connection that was said to close takes no further request") {
  for (std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                             "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
    ClientDriver driver;
    driver.feed(answer);
    CHECK_FALSE(driver.codec().can_start_stream());
  }
  ClientDriver kept;
  kept.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  CHECK(kept.codec().can_start_stream());
}

TEST_CASE("a 101 that was asked for begins a tunnel") {
  CHECK(told("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw", true,
             http::Method::kGet, "websocket") == "[101 Switching Protocols]raw|");
}

}  // namespace
}  // namespace weft::codec::http1
