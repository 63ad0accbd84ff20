#include <catch2/catch.hpp>

#include "tests/proxy/codec/http1/codec_driver.h"

namespace weft::codec::http1 {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n\r\n" + std::string(body);
}

// What the codec tells of these bytes, fed at once; and the same fed byte by byte, which must not differ.
std::string told(std::string_view bytes, const Limits& limits = Limits()) {
  ServerDriver whole(limits), pieces(limits);
  whole.feed(bytes);
  for (char c : bytes) pieces.feed(std::string_view(&c, 1));
  CHECK(whole.comparable() == pieces.comparable());
  CHECK(whole.output() == pieces.output());
  return whole.transcript;
}

bool is_refused(std::string_view bytes) {
  ServerDriver driver;
  driver.feed(bytes);
  return driver.transcript.starts_with("!") && driver.codec().finished() && told(bytes).starts_with("!");
}

TEST_CASE("a request is told with its fields, and host among none of them") {
  CHECK(told("GET /a?b HTTP/1.1\r\nHost: a.example\r\nX-CaSe: \t v \r\n\r\n") == "[GET /a?b a.example  X-CaSe=v;]|");
}

TEST_CASE("bodies are framed by length and by chunks") {
  CHECK(ends_with(told(post("Content-Length: 5", "hello")), "]hello|"));
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", "2\r\nhe\r\n003;x=\"y\"\r\nllo\r\n0\r\n\r\n")), "]hello|"));
}

TEST_CASE("pipelined requests are told in their order, each after the answer before it") {
  ServerDriver driver;
  driver.feed(kGet + post("Content-Length: 2", "hi") + kGet);
  CHECK(driver.transcript == "[GET / a ]|[POST / a  Content-Length=2;]hi|[GET / a ]|");
  CHECK(driver.codec().open_streams() == 0);
  CHECK_FALSE(driver.codec().finished());
}

TEST_CASE("a second request waits while the first has no answer") {
  ServerDriver driver;
  driver.answers = false;
  CHECK(driver.feed(kGet + kGet) == FeedState::kPaused);
  CHECK(driver.transcript == "[GET / a ]|");
  driver.answers = true;
  driver.turn();
  driver.feed("");
  CHECK(driver.transcript == "[GET / a ]|[GET / a ]|");
}

TEST_CASE("what could be framed in two ways is refused, and nothing behind it is read") {
  const std::string smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::string fields : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked",
           "Transfer-Encoding: chunked\r\nContent-Length: 5",
           "Transfer-Encoding: chunked, chunked",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
           "Transfer-Encoding: gzip, chunked",
           "Transfer-Encoding: identity",
           "Transfer-Encoding: xchunked",
           "Transfer-Encoding:",
           "Transfer-Encoding: \x0b"
           "chunked",
           "Transfer-Encoding : chunked",
           "Transfer-Encoding:\r\n chunked",
           "Content-Length: 5\r\nContent-Length: 6",
           "Content-Length: 5\r\nContent-Length: 5",
           "Content-Length: 5, 5",
           "Content-Length: +5",
           "Content-Length: -5",
           "Content-Length: 0x5",
           "Content-Length:",
           "Content-Length: 18446744073709551621",
           "Content-Length : 5",
       }) {
    CAPTURE(fields);
    CHECK(is_refused(post(fields, smuggled)));
  }
}

TEST_CASE("heads that are not strictly HTTP/1 are refused") {
  for (std::string head : {
           "GET / HTTP/1.1\nHost: a\n\n",
           "GET / HTTP/1.1\r\nHost: a\r\n\n",
           "GET / HTTP/1.1\rHost: a\r\n\r\n",
           " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
           "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
           "GET /\r\nHost: a\r\n\r\n",
           "GET / http/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
           "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /a\xff HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET http://me@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
           "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
       }) {
    CAPTURE(head);
    CHECK(is_refused(head));
  }
}

TEST_CASE("a control character in a value is refused at every place of every length") {
  for (size_t size = 1; size <= 40; ++size) {
    std::string value(size, 'v');
    auto head = [&] { return "GET / HTTP/1.1\r\nHost: a\r\nX: " + value + "\r\n\r\n"; };
    CHECK_FALSE(is_refused(head()));
    for (char& c : value) {
      for (char bad : {'\x01', '\x0b', '\x7f'}) {
        c = bad;
        CHECK(is_refused(head()));
      }
      c = 'v';
    }
  }
}

TEST_CASE("a NUL is refused wherever it stands") {
  using namespace std::string_view_literals;
  CHECK(is_refused("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"sv));
  CHECK(is_refused("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"sv));
  CHECK(is_refused("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"sv));
}

TEST_CASE("a chunked body that is not strictly chunked is reset, never ended") {
  for (std::string body : {"5g\r\nhello\r\n",
                           "0x5\r\nhello\r\n",
                           "-5\r\n",
                           "+5\r\n",
                           "10000000000000005\r\n",
                           "FFFFFFFFFFFFFFFB\r\n",
                           "\r\nhello",
                           " 5\r\n",
                           "5 \r\nhello",
                           "5\nhello",
                           "5\rhello",
                           "5\r\nhello!!\r\n",
                           "5\r\nhello\n0\r\n\r\n",
                           "5\r\nhelloXX",
                           "5;a\nhello",
                           "5;a\rb\r\n",
                           "0\n\r\n",
                           "0\r\n\n",
                           "0\r\nbroken\r\n\r\n",
                           "0\r\nX : 1\r\n\r\n",
                           "0\r\nX: 1\r\n 2\r\n\r\n"}) {
    CAPTURE(body);
    std::string transcript = told(post("Transfer-Encoding: chunked", body));
    CHECK(ends_with(transcript, "!downstream_protocol_error"));
    CHECK_FALSE(contains(transcript, "|"));
  }
}

TEST_CASE("everything that a peer can make us hold has a bound") {
  Limits limits;
  limits.max_header_bytes = 1000;
  limits.max_header_count = 5;
  limits.max_target_bytes = 100;
  limits.max_chunk_extension_bytes = 20;
  auto get = [](std::string_view fields) { return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n\r\n"; };
  CHECK(told(get("X: " + std::string(1000, 'x')), limits) == "!headers_too_large");
  CHECK(told(get("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5"), limits) == "!headers_too_large");
  CHECK(ends_with(told(get("A: 1\r\nB: 2\r\nC: 3\r\nD: 4"), limits), "|"));
  CHECK(told("GET /" + std::string(100, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits) == "!uri_too_long");
  CHECK(told("GET /" + std::string(2000, 'x'), limits) == "!uri_too_long");
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", "1;" + std::string(30, 'x') + "\r\na\r\n"), limits),
                  "!downstream_protocol_error"));
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1;0123456789\r\na\r\n";
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", many), limits), "!downstream_protocol_error"));
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", "0\r\nX: " + std::string(2000, 'x')), limits),
                  "!downstream_protocol_error"));
}

TEST_CASE("an absolute target becomes authority and path") {
  CHECK(told("GET http://b.example/x?y HTTP/1.1\r\nHost: a\r\n\r\n") == "[GET /x?y b.example ]|");
  CHECK(told("GET HTTPS://b.example HTTP/1.1\r\nHost: a\r\n\r\n") == "[GET / b.example ]|");
  CHECK(told("GET http://b.example?q HTTP/1.1\r\nHost: a\r\n\r\n") == "[GET /?q b.example ]|");
}

TEST_CASE("what Connection names ends here, but for what frames and routes") {
  CHECK(told("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-hop, Host, Cookie\r\nX-Hop: 1\r\nCookie: c\r\nKeep-Alive: "
             "5\r\n\r\n") == "[GET / a  Cookie=c;]|");
}

TEST_CASE("a connection that is to close is closed after the answer, and what follows is not read") {
  ServerDriver driver;
  driver.feed("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kGet);
  CHECK(driver.transcript == "[GET /1 a ]|");
  CHECK(driver.codec().finished());
  CHECK(contains(driver.output(), "connection: close\r\n"));
}

TEST_CASE("an answer is framed by its length, and HEAD's has no body") {
  ServerDriver driver;
  driver.feed(kGet);
  CHECK(ends_with(driver.output(), "content-length: 2\r\n\r\nok"));
  driver.feed("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(ends_with(driver.output(), "content-length: 2\r\n\r\n"));
}

TEST_CASE("an upgrade that is refused leaves no bytes behind that could be a request") {
  ServerDriver driver;
  driver.feed(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  CHECK_FALSE(contains(driver.transcript, "smuggled"));
}

TEST_CASE("HTTP/1.0 is refused unless configured, and then gets its default host") {
  CHECK(told("GET / HTTP/1.0\r\n\r\n") == "!http10_not_accepted");
  Limits limits;
  limits.accept_http10 = true;
  limits.default_host_for_http10 = "default";
  CHECK(told("GET / HTTP/1.0\r\n\r\n", limits) == "[GET / default ]|");
  CHECK(told("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", limits) == "!bad_request");
}

TEST_CASE("trailers are told when they are enabled, without those that frame or authorise") {
  Limits limits;
  limits.enable_trailers = true;
  std::string body = "0\r\nX-Sum: 1\r\nAuthorization: x\r\n\r\n";
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", body), limits), "] X-Sum=1;|"));
  CHECK(ends_with(told(post("Transfer-Encoding: chunked", body)), "]|"));
}

TEST_CASE("a client that goes away within a request resets it") {
  ServerDriver driver;
  driver.feed(post("Content-Length: 5", "he"));
  driver.end_input();
  CHECK(ends_with(driver.transcript, "he!downstream_closed"));
  CHECK(driver.codec().finished());
}

}  // namespace
}  // namespace weft::codec::http1
