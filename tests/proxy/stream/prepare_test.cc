#include "proxy/stream/prepare.h"

#include <catch2/catch.hpp>

namespace weft::stream {
namespace {

using http::HeaderId;
using snapshot::ForwardClientCert;
using snapshot::PathAction;

struct Fixture {
  Fixture() {
    request.method = "GET";
    request.authority = "a.example";
    request.path = "/";
    peer.remote_ip = "192.0.2.9";
    http.normalize_path = true;
  }
  void with(std::string_view name, std::string_view value) { request.headers.add(name, value); }
  Prepared prepare() { return prepare_request({http, peer, is_tls, random, client_certificate}, request); }
  std::string_view header(std::string_view name) const {
    const http::Header* found = request.headers.find(name);
    return found == nullptr ? std::string_view("(none)") : found->value;
  }
  // The path that a request for `path` goes on with, or the reason why it does not.
  std::string path_of(std::string_view path) {
    request.path = path;
    Prepared prepared = prepare();
    return std::string(prepared.refused == http::Cause::kNone ? request.path : prepared.detail);
  }

  base::Arena arena;
  base::Random random{1};
  snapshot::HttpConnectionManager http;
  observe::PeerTexts peer;
  http::RequestHead request{arena};
  bool is_tls = false;
  std::string_view client_certificate;
};

TEST_CASE("a path with a broken escape or a zero byte cannot be normalized, and is refused") {
  for (std::string_view path : {"/%", "/%2", "/%zz", "/a%00b", "/%2g/.."}) {
    Fixture fixture;
    CHECK(fixture.path_of(path) == "the path cannot be normalized");
  }
}

TEST_CASE("slashes are merged where that is asked for, in the path only") {
  Fixture fixture;
  CHECK(fixture.path_of("//a///b?x=//y") == "//a///b?x=//y");
  fixture.http.merge_slashes = true;
  CHECK(fixture.path_of("//a///b?x=//y") == "/a/b?x=//y");
}

TEST_CASE("escaped slashes stay, are refused, or are unescaped, and nothing else is taken for one") {
  Fixture fixture;
  CHECK(fixture.path_of("/a%2Fb") == "/a%2Fb");
  fixture.http.escaped_slashes = PathAction::kReject;
  CHECK(fixture.path_of("/a%2fb") == "the path has an escaped slash");
  CHECK(fixture.path_of("/a%5Cb") == "the path has an escaped slash");
  CHECK(fixture.path_of("/a?b=%2f") == "/a?b=%2f");
  fixture.http.escaped_slashes = PathAction::kUnescapeAndForward;
  CHECK(fixture.path_of("/a%2F..%2fb") == "/b");
  fixture.http.normalize_path = false;
  CHECK(fixture.path_of("/a%5cb%2Fc?d=%2F") == "/a\\b/c?d=%2F");
  CHECK(fixture.path_of("/a%3g%2") == "/a%3g%2");
}

TEST_CASE("where escaped slashes redirect, it is to the normalized path") {
  Fixture fixture;
  fixture.http.escaped_slashes = PathAction::kUnescapeAndRedirect;
  fixture.request.path = "/a%2F../b?c";
  CHECK(fixture.prepare().redirect_to == "/b?c");
  fixture.request.path = "/a";
  CHECK(fixture.prepare().redirect_to.empty());
}

TEST_CASE("a request without a host is refused") {
  Fixture fixture;
  fixture.request.authority = {};
  CHECK(fixture.prepare().refused == http::Cause::kBadRequest);
}

TEST_CASE("ports and the trailing dot are taken off the host as configured") {
  auto host_of = [](Fixture& fixture, std::string_view host) {
    fixture.request.authority = host;
    fixture.prepare();
    return std::string(fixture.request.authority);
  };
  Fixture fixture;
  CHECK(host_of(fixture, "a.example:80") == "a.example:80");
  fixture.http.strip_matching_host_port = true;
  CHECK(host_of(fixture, "a.example:80") == "a.example");
  CHECK(host_of(fixture, "a.example:8080") == "a.example:8080");
  CHECK(host_of(fixture, "[::1]:80") == "[::1]");
  CHECK(host_of(fixture, "[::1]") == "[::1]");
  fixture.is_tls = true;
  CHECK(host_of(fixture, "a.example:80") == "a.example:80");
  CHECK(host_of(fixture, "a.example:443") == "a.example");
  fixture.http.strip_any_host_port = true;
  CHECK(host_of(fixture, "a.example:8080") == "a.example");
  fixture.http.strip_trailing_host_dot = true;
  CHECK(host_of(fixture, "a.example.") == "a.example");
}

TEST_CASE("headers that steer the proxy are taken from outsiders") {
  Fixture fixture;
  fixture.http.use_remote_address = true;
  fixture.with("x-envoy-retry-on", "5xx");
  fixture.with("x-envoy-upstream-rq-timeout-ms", "1");
  fixture.with("x-envoy-expected-rq-timeout-ms", "1");
  fixture.with("x-other", "1");
  fixture.prepare();
  CHECK(fixture.header("x-envoy-retry-on") == "(none)");
  CHECK(fixture.header("x-envoy-upstream-rq-timeout-ms") == "(none)");
  CHECK(fixture.header("x-envoy-expected-rq-timeout-ms") == "(none)");
  CHECK(fixture.header("x-other") == "1");

  Fixture inside;
  inside.with("x-envoy-retry-on", "5xx");
  inside.prepare();
  CHECK(inside.header("x-envoy-retry-on") == "5xx");

  Fixture trusting;
  trusting.http.respect_expected_rq_timeout = true;
  trusting.with("x-envoy-expected-rq-timeout-ms", "1");
  trusting.prepare();
  CHECK(trusting.header("x-envoy-expected-rq-timeout-ms") == "1");
}

TEST_CASE("at the edge the peer's address is appended to x-forwarded-for and taken for the client's") {
  Fixture fixture;
  fixture.http.use_remote_address = true;
  fixture.with("x-forwarded-for", "10.1.1.1, 10.2.2.2");
  Prepared prepared = fixture.prepare();
  CHECK(prepared.remote_ip == "192.0.2.9");
  CHECK(fixture.header("x-forwarded-for") == "10.1.1.1, 10.2.2.2,192.0.2.9");
  CHECK(fixture.header("x-envoy-external-address") == "192.0.2.9");
}

TEST_CASE("behind trusted hops the client is the one before them") {
  auto client = [](bool edge, uint32_t hops) {
    Fixture fixture;
    fixture.http.use_remote_address = edge;
    fixture.http.xff_trusted_hops = hops;
    fixture.with("x-forwarded-for", "10.1.1.1, 10.2.2.2 ,10.3.3.3");
    return std::string(fixture.prepare().remote_ip);
  };
  CHECK(client(true, 1) == "10.3.3.3");
  CHECK(client(true, 2) == "10.2.2.2");
  CHECK(client(true, 4) == "192.0.2.9");
  CHECK(client(false, 0) == "10.3.3.3");
  CHECK(client(false, 1) == "10.2.2.2");
  CHECK(client(false, 3) == "192.0.2.9");
}

TEST_CASE("x-forwarded-proto of an outsider is replaced; inside it is kept and gives the scheme") {
  Fixture edge;
  edge.http.use_remote_address = true;
  edge.is_tls = true;
  edge.with("x-forwarded-proto", "http");
  edge.prepare();
  CHECK(edge.header("x-forwarded-proto") == "https");
  CHECK(edge.request.scheme == "https");

  Fixture inside;
  inside.with("x-forwarded-proto", "https");
  inside.prepare();
  CHECK(inside.header("x-forwarded-proto") == "https");
  CHECK(inside.request.scheme == "https");

  Fixture odd;
  odd.with("x-forwarded-proto", "gopher");
  odd.prepare();
  CHECK(odd.request.scheme == "http");

  Fixture overwritten;
  overwritten.http.scheme_overwrite = "https";
  overwritten.prepare();
  CHECK(overwritten.request.scheme == "https");
}

TEST_CASE("a request has an id: a random UUID, unless one came that may be kept") {
  Fixture fixture;
  fixture.prepare();
  std::string_view id = fixture.header("x-request-id");
  REQUIRE(id.size() == 36);
  CHECK(id[14] == '4');
  CHECK(std::string_view("89ab").find(id[19]) != std::string_view::npos);

  Fixture inside;
  inside.with("x-request-id", "mine");
  inside.prepare();
  CHECK(inside.header("x-request-id") == "mine");

  Fixture edge;
  edge.http.use_remote_address = true;
  edge.with("x-request-id", "mine");
  edge.prepare();
  CHECK(edge.header("x-request-id") != "mine");

  Fixture preserving;
  preserving.http.use_remote_address = preserving.http.preserve_external_request_id = true;
  preserving.with("x-request-id", "mine");
  preserving.prepare();
  CHECK(preserving.header("x-request-id") == "mine");

  Fixture none;
  none.http.generate_request_id = false;
  none.prepare();
  CHECK(none.header("x-request-id") == "(none)");
}

TEST_CASE("what is forwarded of the client's certificate is what the configuration says") {
  auto forwarded = [](ForwardClientCert mode, bool mutual) {
    Fixture fixture;
    fixture.http.forward_client_cert = mode;
    fixture.with("x-forwarded-client-cert", "before");
    if (mutual) {
      fixture.peer.peer_fingerprint_256 = "abcd";
      fixture.client_certificate = "Hash=abcd;URI=spiffe://a/b";
    }
    fixture.prepare();
    return std::string(fixture.header("x-forwarded-client-cert"));
  };
  const std::string element = "Hash=abcd;URI=spiffe://a/b";
  CHECK(forwarded(ForwardClientCert::kSanitize, true) == "(none)");
  CHECK(forwarded(ForwardClientCert::kForwardOnly, true) == "before");
  CHECK(forwarded(ForwardClientCert::kForwardOnly, false) == "(none)");
  CHECK(forwarded(ForwardClientCert::kAlwaysForwardOnly, false) == "before");
  CHECK(forwarded(ForwardClientCert::kSanitizeSet, true) == element);
  CHECK(forwarded(ForwardClientCert::kAppendForward, true) == "before," + element);
  CHECK(forwarded(ForwardClientCert::kAppendForward, false) == "(none)");
}

TEST_CASE("our name is appended to via") {
  Fixture fixture;
  fixture.http.via = "weft";
  fixture.prepare();
  CHECK(fixture.header("via") == "weft");
  Fixture behind;
  behind.http.via = "weft";
  behind.with("via", "1.1 other");
  behind.prepare();
  CHECK(behind.header("via") == "1.1 other, weft");
}

}  // namespace
}  // namespace weft::stream
