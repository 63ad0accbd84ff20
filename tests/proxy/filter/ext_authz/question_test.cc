#include "proxy/filter/ext_authz/question.h"

#include <catch2/catch.hpp>

#include "tests/proxy/filter/fake_stream.h"

namespace weft::filter {
namespace {

struct Asked {
  Asked() : stream(nullptr) {
    http::RequestHead& head = stream.request_head();
    head.method = "POST";
    head.method_id = http::Method::kPost;
    head.authority = "a.example";
    head.path = "/x?a=1";
    for (auto [name, value] :
         std::initializer_list<std::pair<const char*, const char*>>{{"X-Told", "1"},
                                                                    {"x-told", "2"},
                                                                    {"x-secret", "s"},
                                                                    {"authorization", "b"},
                                                                    {"content-length", "3"},
                                                                    {"X-Envoy-Auth-Partial-Body", "forged"},
                                                                    {"x-bytes", "a\xff"}}) {
      head.headers.add(name, value);
    }
  }
  Question ask(bool over_http = false, const AuthzBody* body = nullptr) {
    return make_question(stream, facts, over_http, body);
  }
  // As name=value, in their order.
  static std::string text(const std::vector<std::pair<std::string, std::string>>& headers) {
    std::string result;
    for (const auto& [name, value] : headers) result += name + "=" + value + ";";
    return result;
  }
  FakeStream stream;
  AuthzFacts facts;
};

HeaderNames exactly(const char* name) { return {{{route::StringMatcher::Kind::kExact, name, false, {}}}}; }

}  // namespace

TEST_CASE("over gRPC all headers are told, but for those that only the proxy says") {
  Asked asked;
  Question question = asked.ask();
  CHECK(Asked::text(question.headers) ==
        ":authority=a.example;:path=/x?a=1;:method=POST;:scheme=http;x-told=1,2;x-secret=s;authorization=b;"
        "content-length=3;x-bytes=a!;");
  CHECK(question.method == "POST");
  CHECK(question.host == "a.example");
  CHECK(question.scheme == "http");
}

TEST_CASE("headers that are allowed, and not withheld, are told alone") {
  Asked asked;
  asked.facts.headers = exactly("x-told");
  CHECK(Asked::text(asked.ask().headers) == "x-told=1,2;");
  CHECK(Asked::text(asked.ask(true).headers) ==
        ":authority=a.example;:path=/x?a=1;:method=POST;x-told=1,2;authorization=b;");
  asked.facts.raw_headers = true;
  CHECK(Asked::text(asked.ask().headers) == "x-told=1;x-told=2;");
  asked.facts.headers.reset();
  asked.facts.withheld_headers = exactly("x-secret");
  CHECK(Asked::text(asked.ask().headers).find("secret") == std::string::npos);
  CHECK(Asked::text(asked.ask().headers).find("x-bytes=a\xff;") != std::string::npos);
  CHECK(Asked::text(asked.ask(true).headers) == ":authority=a.example;:path=/x?a=1;:method=POST;authorization=b;");
}

TEST_CASE("an HTTP request to the service has the method, path and host of the request and nothing of its hop") {
  Asked asked;
  asked.facts.headers = HeaderNames{{{route::StringMatcher::Kind::kPrefix, "", false, {}}}};
  asked.stream.request_head().upgrade = "websocket";
  asked.stream.request_head().accepts_trailers = true;
  AuthzService service;
  service.cluster = "authz";
  service.path_prefix = "/check";
  call::HttpRequest request = to_http_request(asked.ask(true), service);
  CHECK(request.cluster == "authz");
  CHECK(request.method == "POST");
  CHECK(request.authority == "a.example");
  CHECK(request.path == "/check/x?a=1");
  CHECK(Asked::text(request.headers) == "x-told=1,2;x-secret=s;authorization=b;x-bytes=a!;");
  CHECK(request.always_says_length);
  service.path = "/fixed";
  CHECK(to_http_request(asked.ask(true), service).path == "/fixed");
}

TEST_CASE("a websocket over HTTP/2 is asked about as one over HTTP/1, and a CONNECT has no path") {
  Asked asked;
  http::RequestHead& head = asked.stream.request_head();
  head.method = "CONNECT";
  head.method_id = http::Method::kConnect;
  head.upgrade = "websocket";
  Question question = asked.ask();
  CHECK(question.method == "GET");
  CHECK(Asked::text(question.headers).find("connection=Upgrade;upgrade=websocket;") != std::string::npos);
  head.upgrade = {};
  head.path = {};
  CHECK(asked.ask().method == "CONNECT");
  AuthzService service;
  CHECK(to_http_request(asked.ask(true), service).path.empty());
  service.path = "/fixed";
  CHECK(to_http_request(asked.ask(true), service).path.empty());
}

TEST_CASE("the body that came goes with the question as far as it may") {
  Asked asked;
  AuthzBody body{4, true, false};
  CHECK(asked.ask(false, &body).body.empty());
  CHECK(Asked::text(asked.ask(false, &body).headers).find("partial") == std::string::npos);
  asked.stream.held.append("ab\xff");
  Question question = asked.ask(false, &body);
  CHECK(question.body == "ab!");
  CHECK_FALSE(question.body_as_bytes);
  CHECK(question.body_bytes == 3);
  CHECK(question.headers.back() == std::pair<std::string, std::string>("x-envoy-auth-partial-body", "false"));
  CHECK(asked.ask(true, &body).body == "ab\xff");
  CHECK(asked.ask(false, nullptr).body.empty());
  asked.facts.body = AuthzBody{9, true, true};
  CHECK(asked.ask(false, &body).body == "ab\xff");
  CHECK(asked.ask(false, &body).body_as_bytes);
  asked.facts.body.reset();
  asked.stream.held.append("cdef");
  question = asked.ask(false, &body);
  CHECK(question.body == "ab!c");
  CHECK(question.headers.back().second == "true");
  for (int i = 0; i < 100; ++i) asked.stream.held.append(base::Slice::of_static("x"));
  body.max_bytes = 90;
  CHECK(asked.ask(true, &body).body.size() == 90);
}

TEST_CASE("the peer is who its verified certificate says, and nobody otherwise") {
  Asked asked;
  transport::TlsInfo tls;
  asked.stream.connection_info.tls = &tls;
  asked.stream.certificate = "-----BEGIN\na+b/c=\n";
  asked.facts.peer_certificate = asked.facts.tls_session = true;
  tls.peer_subject = "CN=c";
  tls.sni = "s.example";
  tls.local_uri_sans = {"spiffe://a/me"};
  CHECK(asked.ask().source.principal.empty());
  CHECK(asked.ask().source.certificate == "-----BEGIN%0Aa%2Bb%2Fc%3D%0A");
  tls.peer_verified = true;
  CHECK(asked.ask().source.principal == "CN=c");
  tls.peer_dns_sans = {"d.example", "e.example"};
  CHECK(asked.ask().source.principal == "d.example");
  tls.peer_uri_sans = {"spiffe://a/b"};
  CHECK(asked.ask().source.principal == "spiffe://a/b");
  CHECK(asked.ask().destination.principal == "spiffe://a/me");
  CHECK(asked.ask().sni == "s.example");
  CHECK(asked.ask().scheme == "https");
  asked.facts.peer_certificate = false;
  CHECK(asked.ask().source.certificate.empty());
}

TEST_CASE("metadata is told of the filters that are named") {
  Asked asked;
  asked.facts.metadata = {"jwt", "none"};
  asked.stream.metadata().set(asked.stream.arena(), "jwt", "sub", http::MetadataValue::of("ann"));
  asked.stream.metadata().set(asked.stream.arena(), "other", "a", http::MetadataValue::of("b"));
  Question question = asked.ask();
  REQUIRE(question.metadata.size() == 1);
  CHECK(question.metadata[0].first == "jwt");
  REQUIRE(question.metadata[0].second.size() == 1);
  CHECK(question.metadata[0].second[0].value.text == "ann");
}

TEST_CASE("text becomes UTF-8, whatever it was") {
  CHECK(utf8_text("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(utf8_text("\xc3") == "!");
  CHECK(utf8_text("\xc0\x80") == "!!");            // Longer than need be.
  CHECK(utf8_text("\xed\xa0\x80") == "!!!");       // Half a surrogate pair.
  CHECK(utf8_text("\xf4\x90\x80\x80") == "!!!!");  // Beyond Unicode.
  CHECK(utf8_text("\x80x\xff") == "!x!");
  CHECK(utf8_text("\xe2\x82"
                  "a") == "!!a");
}

}  // namespace weft::filter
