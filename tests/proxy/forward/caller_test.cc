#include "proxy/forward/caller.h"

#include <catch2/catch.hpp>

#include "proxy/base/arena.h"

namespace weft::forward {
namespace {

using On = route::RetryPolicy;

struct Fixture {
  base::Arena arena;
  http::RequestHead request{arena};
  Deadlines deadlines{.request_timeout_ms = 15'000, .per_try_timeout_ms = 2'000};
  route::RetryPolicy configured;

  Fixture() {
    configured.on = On::kReset;
    configured.num_retries = 2;
  }
  std::shared_ptr<const route::RetryPolicy> obey(bool has_policy = true) {
    return obey_caller(request, has_policy ? &configured : nullptr, deadlines);
  }
};

TEST_CASE("a request that asks for nothing changes nothing") {
  Fixture fixture;
  CHECK(fixture.obey() == nullptr);
  CHECK(fixture.deadlines.request_timeout_ms == 15'000);
  CHECK(fixture.deadlines.per_try_timeout_ms == 2'000);
}

TEST_CASE("the caller's times take the place of the route's, and go no further") {
  Fixture fixture;
  fixture.request.headers.add("x-envoy-upstream-rq-timeout-ms", "900");
  fixture.request.headers.add("x-envoy-upstream-rq-per-try-timeout-ms", "300");
  CHECK(fixture.obey() == nullptr);
  CHECK(fixture.deadlines.request_timeout_ms == 900);
  CHECK(fixture.deadlines.per_try_timeout_ms == 300);
  CHECK(fixture.request.headers.empty());

  SECTION("a try as long as the request is no try's bound") {
    fixture.request.headers.add("x-envoy-upstream-rq-timeout-ms", "200");
    fixture.obey();
    CHECK(fixture.deadlines.per_try_timeout_ms == 0);
  }
  SECTION("what is no number counts as not said") {
    for (const char* text : {"", "-1", "1s", "99999999999999999999"}) {
      fixture.request.headers.add("x-envoy-upstream-rq-timeout-ms", text);
      fixture.obey();
      CHECK(fixture.deadlines.request_timeout_ms == 900);
      CHECK(fixture.request.headers.empty());
    }
  }
}

TEST_CASE("the caller's conditions are added to the route's") {
  Fixture fixture;
  fixture.request.headers.add("x-envoy-retry-on", "5xx, cancelled,nonsense");
  fixture.request.headers.add("x-envoy-retry-grpc-on", "unavailable,connect-failure");
  auto policy = fixture.obey();
  REQUIRE(policy != nullptr);
  CHECK(policy->on == (On::kReset | On::k5xx | On::kGrpcUnavailable));
  CHECK(policy->num_retries == 2);
  CHECK(fixture.configured.on == On::kReset);
  CHECK(fixture.request.headers.empty());
}

TEST_CASE("a caller may ask for retries where the route has none, within a bound") {
  Fixture fixture;
  fixture.request.headers.add("x-envoy-retry-on", "retriable-status-codes");
  fixture.request.headers.add("x-envoy-max-retries", "1000000");
  fixture.request.headers.add("x-envoy-retriable-status-codes", "418, 1000, x,503");
  auto policy = fixture.obey(false);
  REQUIRE(policy != nullptr);
  CHECK(policy->num_retries == kMostRetriesByHeader);
  CHECK(policy->retriable_status_codes == std::vector<uint16_t>{418, 503});
  CHECK(fixture.request.headers.empty());
}

TEST_CASE("a number of retries alone begins none, and changes those of the route") {
  Fixture fixture;
  fixture.request.headers.add("x-envoy-max-retries", "0");
  CHECK(fixture.obey(false) == nullptr);
  fixture.request.headers.add("x-envoy-max-retries", "0");
  auto policy = fixture.obey();
  REQUIRE(policy != nullptr);
  CHECK(policy->num_retries == 0);
}

}  // namespace
}  // namespace weft::forward
