#include "proxy/forward/retry.h"

#include <algorithm>

namespace weft::forward {
namespace {

using On = route::RetryPolicy;
using http::Cause;

bool never_reached_upstream(Cause cause) {
  switch (cause) {
    case Cause::kConnectRefused:
    case Cause::kConnectTimeout:
    case Cause::kConnectFailed:
    case Cause::kUpstreamTlsFailed:
      return true;
    default:
      return false;
  }
}

bool overflowed(Cause cause) {
  return cause == Cause::kOverflowPending || cause == Cause::kOverflowConnections ||
         cause == Cause::kOverflowRequests || cause == Cause::kNoHealthyUpstream;
}

bool grpc_condition_holds(uint32_t on, int grpc_status) {
  switch (grpc_status) {
    case 1:
      return (on & On::kGrpcCancelled) != 0;
    case 4:
      return (on & On::kGrpcDeadlineExceeded) != 0;
    case 8:
      return (on & On::kGrpcResourceExhausted) != 0;
    case 13:
      return (on & On::kGrpcInternal) != 0;
    case 14:
      return (on & On::kGrpcUnavailable) != 0;
    default:
      return false;
  }
}

bool status_condition_holds(const route::RetryPolicy& policy, const TryOutcome& outcome) {
  uint32_t on = policy.on;
  uint16_t status = outcome.status;
  if ((on & On::k5xx) != 0 && status >= 500) return true;
  if ((on & On::kGatewayError) != 0 && status >= 502 && status <= 504) return true;
  if ((on & On::kRetriable4xx) != 0 && status == 409) return true;
  if ((on & On::kEnvoyRateLimited) != 0 && outcome.envoy_rate_limited) return true;
  if ((on & On::kRetriableStatusCodes) != 0) {
    const auto& codes = policy.retriable_status_codes;
    if (std::find(codes.begin(), codes.end(), status) != codes.end()) return true;
  }
  if ((on & On::kRetriableHeaders) == 0) return false;
  return std::any_of(policy.retriable_headers.begin(), policy.retriable_headers.end(),
                     [&](const auto& match) { return route::header_matches(match, *outcome.head); });
}

bool failure_condition_holds(uint32_t on, const TryOutcome& outcome) {
  // No answer counts as a 5xx, as in Envoy.
  if ((on & (On::k5xx | On::kGatewayError)) != 0) return true;
  if (outcome.cause == Cause::kPerTryTimeout) return false;
  if ((on & On::kReset) != 0) return true;
  if ((on & On::kResetBeforeRequest) != 0 && !outcome.request_bytes_written) return true;
  if ((on & On::kConnectFailure) != 0 && never_reached_upstream(outcome.cause)) return true;
  return (on & On::kRefusedStream) != 0 && outcome.reason == codec::ResetReason::kRefused;
}

}  // namespace

RetryVerdict retry_verdict(const route::RetryPolicy* policy, const http::RequestHead& request,
                           const TryOutcome& outcome) {
  if (policy != nullptr && !policy->retriable_request_headers.empty() &&
      std::none_of(policy->retriable_request_headers.begin(), policy->retriable_request_headers.end(),
                   [&](const auto& match) { return route::header_matches(match, request); })) {
    policy = nullptr;
  }
  uint32_t on = policy == nullptr ? 0 : policy->on;
  if (outcome.answered) {
    if (policy == nullptr) return RetryVerdict::kNo;
    if (outcome.grpc_status && request.is_grpc() && grpc_condition_holds(on, *outcome.grpc_status)) {
      return RetryVerdict::kByPolicy;
    }
    bool repeatable = http::is_idempotent(request.method_id) || policy->allow_unsafe_methods;
    return repeatable && status_condition_holds(*policy, outcome) ? RetryVerdict::kByPolicy : RetryVerdict::kNo;
  }

  if (overflowed(outcome.cause)) return RetryVerdict::kNo;
  if (never_reached_upstream(outcome.cause)) {
    // Another host may do better, but without a policy nobody asked us to look for one.
    return policy != nullptr && failure_condition_holds(on, outcome) ? RetryVerdict::kByPolicy : RetryVerdict::kNo;
  }
  if (outcome.reason == codec::ResetReason::kRefused) return RetryVerdict::kFree;
  bool lost_connection = outcome.reason == codec::ResetReason::kConnectionClosed ||
                         outcome.reason == codec::ResetReason::kConnectionClosedUnused;
  if (lost_connection && !outcome.request_bytes_written) return RetryVerdict::kFree;

  bool idempotent = http::is_idempotent(request.method_id);
  if (!idempotent && (policy == nullptr || !policy->allow_unsafe_methods)) return RetryVerdict::kNo;
  // The keep-alive race: the endpoint closed an idle connection while the request was on its way (RFC 9112, 9.3.1).
  if (idempotent && outcome.reason == codec::ResetReason::kConnectionClosedUnused && !outcome.had_new_connection) {
    return RetryVerdict::kOnNewConnection;
  }
  return policy != nullptr && failure_condition_holds(on, outcome) ? RetryVerdict::kByPolicy : RetryVerdict::kNo;
}

int64_t back_off_ms(const route::RetryPolicy& policy, uint32_t retry, base::Random& random) {
  if (policy.back_off_base_ms <= 0) return 0;
  int64_t factor = (int64_t{1} << std::min<uint32_t>(retry, 20)) - 1;
  int64_t bound = std::min(policy.back_off_base_ms * factor, std::max(policy.back_off_max_ms, policy.back_off_base_ms));
  return static_cast<int64_t>(random.below(static_cast<uint64_t>(std::max<int64_t>(bound, 1))));
}

}  // namespace weft::forward
