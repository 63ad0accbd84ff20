#include "proxy/observe/format.h"

#include <catch2/catch.hpp>

#include "tests/proxy/observe/record.h"

namespace weft::observe {
namespace {

std::string render(std::string_view format, const RequestRecord& record, bool omit_empty = false) {
  auto compiled = Format::compile(format);
  REQUIRE(compiled.ok());
  std::string out;
  compiled->render(record, omit_empty, out);
  return out;
}
std::string render(std::string_view format) { return render(format, Exchange().record); }

std::string error_of(std::string_view format) {
  auto compiled = Format::compile(format);
  REQUIRE_FALSE(compiled.ok());
  return std::string(compiled.status().message());
}

TEST_CASE("text stays as it is, and two percent signs are one") {
  CHECK(render("") == "");
  CHECK(render("a b") == "a b");
  CHECK(render("100%% of %PROTOCOL%%%") == "100% of HTTP/1.1%");
}

TEST_CASE("headers of the request and the answer, by name, or by a second name if the first is absent") {
  CHECK(render("%REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(host)% %REQ(:scheme)%") == "GET a.example a.example https");
  CHECK(render("%REQ(X-One)%,%REQ(accept)%,%REQ(x-none)%") == "1,a,b,-");
  CHECK(render("%REQ(x-none?X-ONE)% %REQ(x-one?:path)%") == "1 1");
  CHECK(render("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%") == "/old?q=1");
  CHECK(render("%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ_WITHOUT_QUERY(:path)%") == "/old /new");
  CHECK(render("%RESP(server)% %RESP(:status)% %RESP(x-none)% %TRAILER(grpc-status)%") == "weft 200 - -");
}

TEST_CASE("a value is cut at the length asked for, and what is around it is not") {
  CHECK(render("[%REQ(:authority):4%]%PROTOCOL:4%") == "[a.ex]HTTP");
  CHECK(render("%REQ(x-one):4%") == "1");
}

TEST_CASE("times: Envoy's default, strftime's letters, and fractions of the second") {
  CHECK(render("%START_TIME%") == "2023-11-14T22:13:20.123Z");
  CHECK(render("%START_TIME(%Y/%m/%dT%H:%M:%S)%") == "2023/11/14T22:13:20");
  CHECK(render("%START_TIME(%s.%3f %f)%") == "1700000000.123 123456789");
}

TEST_CASE("durations are whole milliseconds, and absent while what they measure did not happen") {
  CHECK(render("%DURATION% %RESPONSE_DURATION% %REQUEST_DURATION%") == "12 - -");
  Exchange exchange;
  exchange.record.upstream_first_received_ns = 1'005'000'000;
  CHECK(render("%RESPONSE_DURATION% %RESPONSE_TX_DURATION%", exchange.record) == "5 7");
}

TEST_CASE("why there is no answer of the upstream's is told by Envoy's code where it has one, and in words") {
  auto told = [](http::Cause cause, std::string_view detail) {
    Exchange exchange;
    exchange.record.cause = cause;
    exchange.record.cause_detail = detail;
    return render("%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %CAUSE_DETAIL%", exchange.record);
  };
  CHECK(told(http::Cause::kAuthorizationDenied, "") == "ext_authz_denied UAEX -");
  CHECK(told(http::Cause::kAuthorizationFailed, "cluster a: b") == "ext_authz_error UAEX cluster a: b");
  CHECK(told(http::Cause::kAuthorizationInvalid, "why") == "ext_authz_invalid UAEX why");
  CHECK(told(http::Cause::kAccessDenied, "rbac_access_denied") == "rbac_access_denied - rbac_access_denied");
  CHECK(told(http::Cause::kNoRoute, "") == "no_route NR -");
}

TEST_CASE("numbers, addresses and names") {
  CHECK(render("%RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT%") == "200 5 7");
  CHECK(render("%UPSTREAM_HOST% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%") ==
        "10.0.0.2:80 192.0.2.9:1234 1234");
  CHECK(render("%UPSTREAM_CLUSTER% %ROUTE_NAME% %UPSTREAM_CONNECTION_ID%") == "- - -");
}

TEST_CASE("an answer of our own says why, in Envoy's flags and in our words") {
  CHECK(render("%RESPONSE_FLAGS% %CAUSE%") == "- none");
  Exchange exchange;
  exchange.record.cause = http::Cause::kConnectRefused;
  exchange.record.cause_detail = "connection refused";
  CHECK(render("%RESPONSE_FLAGS% %CAUSE% %CAUSE_DETAIL%", exchange.record) == "UF connect_refused connection refused");
  exchange.record.retry_limit_exceeded = true;
  CHECK(render("%RESPONSE_FLAGS%", exchange.record) == "UF,URX");
  exchange.record.cause = http::Cause::kNone;
  CHECK(render("%RESPONSE_FLAGS%", exchange.record) == "URX");
}

TEST_CASE("what is absent is nothing where that is asked for") {
  CHECK(render("[%REQ(x-none)%]", Exchange().record, true) == "[]");
}

TEST_CASE("a TCP connection has no heads, and no format fails on it") {
  RequestRecord record;
  CHECK(render("%REQ(:path)% %RESP(x)% %PROTOCOL% %RESPONSE_CODE%", record) == "- - - 0");
  CHECK_FALSE(render(kDefaultHttpFormat, record).empty());
}

TEST_CASE("rendered as a header's value, the text lives in the request's arena") {
  Exchange exchange;
  auto format = Format::compile("%REQ(x-one)%/%REQ(x-none)%/%PROTOCOL%");
  REQUIRE(format.ok());
  base::Arena arena;
  std::string_view first = format->render(exchange.record, arena);
  exchange.record.protocol = "HTTP/2";
  CHECK(format->render(exchange.record, arena) == "1//HTTP/2");
  CHECK(first == "1//HTTP/1.1");
}

TEST_CASE("one operator alone knows whether it is a number and whether its value is there") {
  CHECK(Format::compile("%RESPONSE_CODE%")->is_number());
  CHECK_FALSE(Format::compile("%PROTOCOL%")->is_number());
  CHECK_FALSE(Format::compile("%RESPONSE_CODE% ")->is_number());
  CHECK_FALSE(Format::compile("200")->is_single());
  Exchange exchange;
  std::string out;
  CHECK_FALSE(Format::compile("%REQ(x-none)%")->render_value(exchange.record, out));
  CHECK(out.empty());
  CHECK(Format::compile("%REQ(:authority):3%")->render_value(exchange.record, out));
  CHECK(out == "a.e");
}

TEST_CASE("a format that is wrong names the operator and its place") {
  CHECK(error_of("ab %NO_SUCH%") == "access log format, character 4: unknown operator \"NO_SUCH\"");
  CHECK(error_of("%REQ%").find("a header name in () is missing") != std::string::npos);
  CHECK(error_of("%REQ()%").find("a header name in () is missing") != std::string::npos);
  CHECK(error_of("%REQ(a?)%").find("beside ?") != std::string::npos);
  CHECK(error_of("%REQ(a%").find("no % ends the operator") != std::string::npos);
  CHECK(error_of("50% off").find("character 3") != std::string::npos);
  for (std::string_view length : {"0", "-1", "x", "", "3x"}) {
    CHECK(error_of("%REQ(a):" + std::string(length) + "%").find("positive number") != std::string::npos);
  }
  CHECK(error_of("%PROTOCOL x%").find("unknown operator") != std::string::npos);
  CHECK(error_of("%REQ(a)x%").find("unexpected text") != std::string::npos);
  CHECK(error_of(std::string(64 * 1024 + 1, 'a')).find("64 KiB") != std::string::npos);
}

}  // namespace
}  // namespace weft::observe
