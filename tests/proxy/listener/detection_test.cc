#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <string>

#include "proxy/listener/client_hello.h"
#include "proxy/listener/http_detection.h"
#include "proxy/listener/proxy_protocol.h"

namespace weft::listener {
namespace {

// A ClientHello as BoringSSL writes it.
std::string real_client_hello(const char* name, const std::string& alpn) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  bssl::UniquePtr<SSL> ssl(SSL_new(context.get()));
  if (name != nullptr) SSL_set_tlsext_host_name(ssl.get(), name);
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(alpn.data()), static_cast<unsigned>(alpn.size()));
  }
  SSL_set_connect_state(ssl.get());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_do_handshake(ssl.get());
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(out, &bytes, &size);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

// The same handshake bytes in records of at most `size` bytes.
std::string in_small_records(const std::string& hello, size_t size) {
  std::string out;
  for (size_t at = 5; at < hello.size(); at += size) {
    std::string piece = hello.substr(at, size);
    out += std::string("\x16\x03\x01", 3) + '\0' + static_cast<char>(piece.size()) + piece;
  }
  return out;
}

ProxyResult parse_proxy(const std::string& bytes, ProxyHeader* header) { return parse_proxy_header(bytes, header); }

}  // namespace

TEST_CASE("a ClientHello tells its server name and protocols, however it is cut") {
  std::string hello = real_client_hello("WWW.Example.com", std::string("\x02h2\x08http/1.1"));
  ClientHello parsed;
  REQUIRE(parse_client_hello(hello, &parsed).state == HelloState::kTls);
  CHECK(parsed.server_name == "www.example.com");
  CHECK(parsed.protocols == std::vector<std::string>{"h2", "http/1.1"});
  for (size_t n = 0; n < hello.size(); ++n) {
    HelloResult result = parse_client_hello(std::string_view(hello).substr(0, n), &parsed);
    REQUIRE(result.state == HelloState::kNeedMore);
    REQUIRE(result.need_bytes > n);
    REQUIRE(result.need_bytes <= hello.size());
  }
  std::string cut = in_small_records(hello, 7);
  REQUIRE(parse_client_hello(cut, &parsed).state == HelloState::kTls);
  CHECK(parsed.server_name == "www.example.com");
  CHECK(parse_client_hello(real_client_hello(nullptr, ""), &parsed).state == HelloState::kTls);
  CHECK(parsed.server_name.empty());
  CHECK(parsed.protocols.empty());
}

TEST_CASE("what is no ClientHello is known by its first byte, and length is bounded") {
  ClientHello parsed;
  CHECK(parse_client_hello("G", &parsed).state == HelloState::kNotTls);
  CHECK(parse_client_hello("", &parsed).state == HelloState::kNeedMore);
  CHECK(parse_client_hello(std::string_view("\x16\x02", 2), &parsed).state == HelloState::kNotTls);
  CHECK(parse_client_hello(std::string_view("\x16\x03\x01\x00\x00", 5), &parsed).state == HelloState::kNotTls);
  CHECK(parse_client_hello(std::string_view("\x16\x03\x01\xff\xff", 5), &parsed).state == HelloState::kNotTls);
  // A ServerHello, and a hello that says it is longer than any may be.
  CHECK(parse_client_hello(std::string_view("\x16\x03\x01\x00\x01\x02", 6), &parsed).state == HelloState::kNotTls);
  CHECK(parse_client_hello(std::string_view("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9), &parsed).state ==
        HelloState::kNotTls);
  std::string hello = real_client_hello("a.example", "");
  hello[hello.find("a.example")] = '\0';
  CHECK(parse_client_hello(hello, &parsed).state == HelloState::kNotTls);
}

TEST_CASE("a PROXY line names source and destination") {
  ProxyHeader header;
  std::string line = "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n";
  ProxyResult result = parse_proxy(line + "GET /", &header);
  REQUIRE(result.state == ProxyState::kDone);
  CHECK(result.bytes == line.size());
  CHECK(header.source.to_string() == "192.0.2.1:40000");
  CHECK(header.destination.to_string() == "198.51.100.7:443");
  for (size_t n = 0; n < line.size(); ++n) {
    CHECK(parse_proxy(line.substr(0, n), &header).state == ProxyState::kNeedMore);
  }
  REQUIRE(parse_proxy("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", &header).state == ProxyState::kDone);
  CHECK(header.source.to_string() == "[2001:db8::1]:1");
  REQUIRE(parse_proxy("PROXY UNKNOWN whatever it says\r\n", &header).state == ProxyState::kDone);
  CHECK(header.source.family == transport::Address::Family::kNone);
}

TEST_CASE("a PROXY line that is not exactly one is refused") {
  ProxyHeader header;
  for (const char* line : {
           "GET / HTTP/1.1\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.7 40000\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443 1\r\n",
           "PROXY TCP4 192.0.2.1  198.51.100.7 40000 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.7 040 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
           "PROXY TCP4 ::1 ::1 1 2\r\n",
           "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
           "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
           "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
           "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
       }) {
    INFO(line);
    CHECK(parse_proxy(line, &header).state == ProxyState::kInvalid);
  }
  CHECK(parse_proxy("PROXY UNKNOWN " + std::string(100, 'x'), &header).state == ProxyState::kInvalid);
}

TEST_CASE("a PROXY header of version 2 is read, and its TLVs are passed over") {
  std::string start("\r\n\r\n\0\r\nQUIT\n", 12);
  ProxyHeader header;
  std::string v4 = start + std::string("\x21\x11\x00\x0f", 4) + std::string("\xc0\x00\x02\x01\x7f\x00\x00\x01", 8) +
                   std::string("\x9c\x40\x01\xbb", 4) + "TLV";
  ProxyResult result = parse_proxy(v4 + "rest", &header);
  REQUIRE(result.state == ProxyState::kDone);
  CHECK(result.bytes == v4.size());
  CHECK(header.source.to_string() == "192.0.2.1:40000");
  CHECK(header.destination.to_string() == "127.0.0.1:443");
  for (size_t n = 0; n < v4.size(); ++n) CHECK(parse_proxy(v4.substr(0, n), &header).state == ProxyState::kNeedMore);

  std::string v6 = start + std::string("\x21\x21\x00\x24", 4) + std::string(15, '\0') + '\1' + std::string(15, '\0') +
                   '\2' + std::string("\x00\x50\x00\x51", 4);
  REQUIRE(parse_proxy(v6, &header).state == ProxyState::kDone);
  CHECK(header.source.to_string() == "[::1]:80");
  CHECK(header.destination.to_string() == "[::2]:81");

  REQUIRE(parse_proxy(start + std::string("\x20\x00\x00\x00", 4), &header).state == ProxyState::kDone);  // LOCAL
  CHECK(header.source.family == transport::Address::Family::kNone);
  CHECK(parse_proxy(start + std::string("\x11\x11\x00\x00", 4), &header).state == ProxyState::kInvalid);
  CHECK(parse_proxy(start + std::string("\x22\x11\x00\x00", 4), &header).state == ProxyState::kInvalid);
  CHECK(parse_proxy(start + std::string("\x21\x11\x00\x0b", 4) + std::string(11, 'x'), &header).state ==
        ProxyState::kInvalid);
  CHECK(parse_proxy(start + std::string("\x21\x12\x00\x0c", 4) + std::string(12, 'x'), &header).state ==
        ProxyState::kInvalid);
  CHECK(parse_proxy(start + std::string("\x21\x11\xff\xff", 4), &header).state == ProxyState::kInvalid);
}

TEST_CASE("HTTP is detected by its preface or first line") {
  std::string_view protocol;
  CHECK_FALSE(detect_http_protocol("PRI * HT", &protocol));
  CHECK_FALSE(detect_http_protocol("GE", &protocol));
  CHECK_FALSE(detect_http_protocol("GET / HTTP/1.1\r", &protocol));
  CHECK(detect_http_protocol("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n....", &protocol));
  CHECK(protocol == "h2c");
  CHECK(detect_http_protocol("GET / HTTP/1.1\r\nhost", &protocol));
  CHECK(protocol == "http/1.1");
  CHECK(detect_http_protocol("PUT /a HTTP/1.0\r\n", &protocol));
  CHECK(protocol == "http/1.0");
  CHECK(detect_http_protocol("EHLO mail\r\n", &protocol));
  CHECK(protocol.empty());
  CHECK(detect_http_protocol("\x16\x03\x01", &protocol));
  CHECK(protocol.empty());
  CHECK(detect_http_protocol(std::string(64, 'A'), &protocol));
  CHECK(protocol.empty());
}

}  // namespace weft::listener
