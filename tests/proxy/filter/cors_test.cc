#include "proxy/filter/cors/cors.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "proxy/route/cors_policy.h"
#include "tests/proxy/filter/fake_stream.h"

namespace weft::filter {
namespace {

using http::HeaderId;

struct Exchange {
  explicit Exchange(const std::shared_ptr<route::CorsPolicy>& policy) : stream((route.cors = policy, &route)) {
    filter = make_cors_filter()->make(stream);
  }
  ~Exchange() {
    if (filter != nullptr) filter->~Filter();
  }
  Verdict preflight(std::string_view origin) {
    http::RequestHead& head = stream.request_head();
    head.method_id = http::Method::kOptions;
    head.headers.add(HeaderId::kAccessControlRequestMethod, "PUT");
    return request(origin);
  }
  Verdict request(std::string_view origin) {
    stream.request_head().headers.add(HeaderId::kOrigin, origin);
    return filter->on_request_head(stream.request_head(), true);
  }
  std::string allowed_origin_in_answer() {
    http::ResponseHead answer(stream.arena());
    filter->on_response_head(answer, true);
    return std::string(answer.headers.value(HeaderId::kAccessControlAllowOrigin));
  }
  route::Route route;
  FakeStream stream;
  Filter* filter = nullptr;
};

std::shared_ptr<route::CorsPolicy> policy() {
  auto result = std::make_shared<route::CorsPolicy>();
  result->allow_origins.push_back({route::StringMatcher::Kind::kSuffix, ".good.test", false, nullptr});
  result->allow_methods = "GET, PUT";
  result->max_age = "60";
  return result;
}

}  // namespace

TEST_CASE("a preflight of an allowed origin is answered without the upstream") {
  Exchange exchange(policy());
  CHECK(exchange.preflight("https://a.good.test") == Verdict::kReply);
  CHECK(exchange.stream.replies == 1);
  CHECK(exchange.stream.status == 200);
  CHECK(exchange.stream.header(HeaderId::kAccessControlAllowOrigin) == "https://a.good.test");
  CHECK(exchange.stream.header(HeaderId::kAccessControlAllowMethods) == "GET, PUT");
  CHECK(exchange.stream.header(HeaderId::kAccessControlMaxAge) == "60");
}

TEST_CASE("a preflight of another origin goes on, or is answered without permission") {
  Exchange forwarded(policy());
  CHECK(forwarded.preflight("https://evil.test") == Verdict::kContinue);
  CHECK(forwarded.stream.replies == 0);
  auto answering = policy();
  answering->forward_not_matching_preflights = false;
  Exchange answered(answering);
  CHECK(answered.preflight("https://evil.test") == Verdict::kReply);
  CHECK(answered.stream.header(HeaderId::kAccessControlAllowOrigin).empty());
  CHECK(answered.stream.header(HeaderId::kAccessControlAllowMethods).empty());
}

TEST_CASE("answers to allowed origins say so, others do not") {
  Exchange allowed(policy());
  CHECK(allowed.request("https://a.good.test") == Verdict::kContinue);
  CHECK(allowed.allowed_origin_in_answer() == "https://a.good.test");
  Exchange refused(policy());
  CHECK(refused.request("https://evil.test") == Verdict::kContinue);
  CHECK(refused.allowed_origin_in_answer().empty());
}

TEST_CASE("without a policy, or with one switched off, the filter is not made") {
  CHECK(Exchange(nullptr).filter == nullptr);
  auto off = policy();
  off->enabled_denominator = 100;
  CHECK(Exchange(off).filter == nullptr);
}

TEST_CASE("origins are counted, and in the shadow share only counted") {
  auto shadow = policy();
  shadow->enabled_denominator = 100;
  shadow->shadow_numerator = shadow->shadow_denominator = 100;
  Exchange watched(shadow);
  REQUIRE(watched.filter != nullptr);
  CHECK(watched.preflight("https://a.good.test") == Verdict::kContinue);
  CHECK(watched.stream.replies == 0);
  CHECK(watched.allowed_origin_in_answer().empty());
  CHECK(watched.stream.stats().cors_origin_valid.value() == 1);
  Exchange refused(policy());
  refused.request("https://evil.test");
  CHECK(refused.stream.stats().cors_origin_invalid.value() == 1);
  CHECK(refused.stream.stats().cors_origin_valid.value() == 0);
}

TEST_CASE("the filter acts on the share of requests that it is enabled for") {
  auto some = policy();
  some->enabled_numerator = 25;
  some->enabled_denominator = 100;
  Exchange exchange(some);
  int made = 0;
  for (int i = 0; i < 1000; ++i) {
    Filter* filter = make_cors_filter()->make(exchange.stream);
    if (filter == nullptr) continue;
    filter->~Filter();
    ++made;
  }
  CHECK(made > 180);
  CHECK(made < 320);
}

}  // namespace weft::filter
