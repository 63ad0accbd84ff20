#include "proxy/route/retry_condition.h"

#include "proxy/route/route.h"

namespace weft::route {
namespace {

struct Condition {
  std::string_view name;
  uint32_t bit;
};

constexpr Condition kConditions[] = {
    {"5xx", RetryPolicy::k5xx},
    {"gateway-error", RetryPolicy::kGatewayError},
    {"reset", RetryPolicy::kReset},
    {"reset-before-request", RetryPolicy::kResetBeforeRequest},
    {"connect-failure", RetryPolicy::kConnectFailure},
    {"envoy-ratelimited", RetryPolicy::kEnvoyRateLimited},
    {"retriable-4xx", RetryPolicy::kRetriable4xx},
    {"refused-stream", RetryPolicy::kRefusedStream},
    {"retriable-status-codes", RetryPolicy::kRetriableStatusCodes},
    {"retriable-headers", RetryPolicy::kRetriableHeaders},
    {"http3-post-connect-failure", RetryPolicy::kHttp3PostConnectFailure},
    {"cancelled", RetryPolicy::kGrpcCancelled},
    {"deadline-exceeded", RetryPolicy::kGrpcDeadlineExceeded},
    {"internal", RetryPolicy::kGrpcInternal},
    {"resource-exhausted", RetryPolicy::kGrpcResourceExhausted},
    {"unavailable", RetryPolicy::kGrpcUnavailable},
};

}  // namespace

uint32_t retry_condition(std::string_view name) {
  for (const Condition& condition : kConditions) {
    if (condition.name == name) return condition.bit;
  }
  return 0;
}

}  // namespace weft::route
