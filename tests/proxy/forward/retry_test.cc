#include "proxy/forward/retry.h"

#include <catch2/catch.hpp>

#include "proxy/forward/deadlines.h"

namespace weft::forward {
namespace {

using codec::ResetReason;
using http::Cause;
using On = route::RetryPolicy;

struct Asked {
  explicit Asked(std::string_view method) : request(arena) {
    request.method = method;
    request.method_id = http::method_of(method);
  }
  RetryVerdict answered(uint32_t on, uint16_t status, std::vector<uint16_t> codes = {}) {
    policy.on = on;
    policy.retriable_status_codes = std::move(codes);
    TryOutcome outcome;
    outcome.answered = true;
    outcome.status = status;
    return retry_verdict(&policy, request, outcome);
  }
  RetryVerdict failed(const route::RetryPolicy* with, ResetReason reason, Cause cause, bool written) {
    TryOutcome outcome;
    outcome.reason = reason;
    outcome.cause = cause;
    outcome.request_bytes_written = written;
    return retry_verdict(with, request, outcome);
  }
  base::Arena arena;
  http::RequestHead request;
  route::RetryPolicy policy;
};

TEST_CASE("headers of the answer and of the request decide on a retry") {
  Asked get("GET");
  get.policy.on = On::kRetriableHeaders;
  route::HeaderMatch again;
  again.name = "x-again";
  get.policy.retriable_headers.push_back(again);
  http::ResponseHead head(get.arena);
  TryOutcome outcome;
  outcome.answered = true;
  outcome.status = head.status = 200;
  outcome.head = &head;
  CHECK(retry_verdict(&get.policy, get.request, outcome) == RetryVerdict::kNo);
  head.headers.add("x-again", "yes");
  CHECK(retry_verdict(&get.policy, get.request, outcome) == RetryVerdict::kByPolicy);
  route::HeaderMatch asked;
  asked.name = "x-retry-me";
  get.policy.retriable_request_headers.push_back(asked);
  CHECK(retry_verdict(&get.policy, get.request, outcome) == RetryVerdict::kNo);
  get.request.headers.add("x-retry-me", "1");
  CHECK(retry_verdict(&get.policy, get.request, outcome) == RetryVerdict::kByPolicy);
}

TEST_CASE("an answer is retried only for what the policy names") {
  Asked get("GET");
  CHECK(get.answered(On::k5xx, 500) == RetryVerdict::kByPolicy);
  CHECK(get.answered(On::k5xx, 404) == RetryVerdict::kNo);
  CHECK(get.answered(On::kGatewayError, 500) == RetryVerdict::kNo);
  CHECK(get.answered(On::kGatewayError, 503) == RetryVerdict::kByPolicy);
  CHECK(get.answered(On::kRetriable4xx, 409) == RetryVerdict::kByPolicy);
  CHECK(get.answered(On::kRetriableStatusCodes, 418, {418}) == RetryVerdict::kByPolicy);
  CHECK(get.answered(On::kRetriableStatusCodes, 417, {418}) == RetryVerdict::kNo);
  CHECK(get.answered(On::kConnectFailure, 503) == RetryVerdict::kNo);
}

TEST_CASE("a retry never repeats a POST that was written") {
  Asked post("POST");
  post.policy.on = On::k5xx | On::kReset | On::kConnectFailure | On::kRefusedStream;
  CHECK(post.answered(On::k5xx, 503) == RetryVerdict::kNo);
  post.policy.on = On::k5xx | On::kReset;
  CHECK(post.failed(&post.policy, ResetReason::kConnectionClosed, Cause::kUpstreamClosed, true) == RetryVerdict::kNo);
  CHECK(post.failed(&post.policy, ResetReason::kConnectionClosedUnused, Cause::kUpstreamClosed, true) ==
        RetryVerdict::kNo);
  CHECK(post.failed(&post.policy, ResetReason::kCancel, Cause::kUpstreamReset, true) == RetryVerdict::kNo);
}

TEST_CASE("what was provably not processed is repeated freely, whatever the method and policy") {
  Asked post("POST");
  CHECK(post.failed(nullptr, ResetReason::kRefused, Cause::kUpstreamRefusedStream, true) == RetryVerdict::kFree);
  CHECK(post.failed(nullptr, ResetReason::kConnectionClosedUnused, Cause::kUpstreamClosed, false) ==
        RetryVerdict::kFree);
}

TEST_CASE("the keep-alive race costs an idempotent request nothing") {
  Asked get("GET");
  CHECK(get.failed(nullptr, ResetReason::kConnectionClosedUnused, Cause::kUpstreamClosed, true) ==
        RetryVerdict::kOnNewConnection);
  CHECK(get.failed(nullptr, ResetReason::kConnectionClosed, Cause::kUpstreamClosed, true) == RetryVerdict::kNo);
  Asked post("POST");
  CHECK(post.failed(nullptr, ResetReason::kConnectionClosedUnused, Cause::kUpstreamClosed, true) == RetryVerdict::kNo);
}

TEST_CASE("the keep-alive race is the policy's matter once it was lost twice") {
  Asked get("GET");
  TryOutcome outcome;
  outcome.reason = ResetReason::kConnectionClosedUnused;
  outcome.cause = Cause::kUpstreamClosed;
  outcome.request_bytes_written = outcome.had_new_connection = true;
  CHECK(retry_verdict(nullptr, get.request, outcome) == RetryVerdict::kNo);
  get.policy.on = On::kReset;
  CHECK(retry_verdict(&get.policy, get.request, outcome) == RetryVerdict::kByPolicy);
}

TEST_CASE("a connection that could not be made is retried by connect-failure, 5xx or reset") {
  Asked post("POST");
  post.policy.on = On::kConnectFailure;
  CHECK(post.failed(&post.policy, ResetReason::kNone, Cause::kConnectRefused, false) == RetryVerdict::kByPolicy);
  CHECK(post.failed(nullptr, ResetReason::kNone, Cause::kConnectRefused, false) == RetryVerdict::kNo);
  post.policy.on = On::kRefusedStream;
  CHECK(post.failed(&post.policy, ResetReason::kNone, Cause::kConnectRefused, false) == RetryVerdict::kNo);
  post.policy.on = On::k5xx;
  CHECK(post.failed(&post.policy, ResetReason::kNone, Cause::kOverflowPending, false) == RetryVerdict::kNo);
}

TEST_CASE("a gRPC call is retried for the statuses that the policy names") {
  Asked call("POST");
  call.request.headers.add("content-type", "application/grpc+proto");
  call.policy.on = On::kGrpcUnavailable;
  TryOutcome outcome;
  outcome.answered = true;
  outcome.status = 200;
  outcome.grpc_status = 14;
  CHECK(retry_verdict(&call.policy, call.request, outcome) == RetryVerdict::kByPolicy);
  outcome.grpc_status = 13;
  CHECK(retry_verdict(&call.policy, call.request, outcome) == RetryVerdict::kNo);
}

TEST_CASE("back-off grows, is jittered, and is bounded") {
  route::RetryPolicy policy;
  policy.back_off_base_ms = 10;
  policy.back_off_max_ms = 100;
  base::Random random(5);
  int64_t largest[6] = {};
  for (int i = 0; i < 2'000; ++i) {
    for (uint32_t retry = 1; retry < 6; ++retry) {
      int64_t ms = back_off_ms(policy, retry, random);
      REQUIRE(ms >= 0);
      REQUIRE(ms < std::min<int64_t>(10 * ((1 << retry) - 1), 100));
      largest[retry] = std::max(largest[retry], ms);
    }
  }
  CHECK(largest[1] > 7);
  CHECK(largest[5] > 90);
}

TEST_CASE("grpc-timeout is read in all its units and refused when malformed") {
  CHECK(parse_grpc_timeout_ms("1H") == 3'600'000);
  CHECK(parse_grpc_timeout_ms("2M") == 120'000);
  CHECK(parse_grpc_timeout_ms("3S") == 3'000);
  CHECK(parse_grpc_timeout_ms("4m") == 4);
  CHECK(parse_grpc_timeout_ms("1u") == 1);
  CHECK(parse_grpc_timeout_ms("1n") == 1);
  for (std::string_view bad : {"", "S", "1", "-1S", "1s", "123456789S", "1 S", "x1S"})
    CHECK_FALSE(parse_grpc_timeout_ms(bad));
}

TEST_CASE("a caller's grpc-timeout counts up to the route's bound") {
  Asked call("POST");
  route::ClusterAction action;
  CHECK(deadlines_of(action, call.request, 0, false).request_timeout_ms == 15'000);
  call.request.headers.add("grpc-timeout", "30S");
  action.grpc_timeout_header_max_ms = 10'000;
  CHECK(deadlines_of(action, call.request, 0, false).stream_duration_ms == 10'000);
  action.grpc_timeout_header_max_ms = 0;
  CHECK(deadlines_of(action, call.request, 0, false).stream_duration_ms == 30'000);
  action.timeout_ms = 0;
  action.grpc_timeout_header_max_ms.reset();
  CHECK(deadlines_of(action, call.request, 700, false).request_timeout_ms == 0);
  CHECK(deadlines_of(action, call.request, 700, false).stream_duration_ms == 700);
}

}  // namespace
}  // namespace weft::forward
