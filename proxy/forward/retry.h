#pragma once

#include <cstdint>
#include <optional>

#include "proxy/base/random.h"
#include "proxy/codec/codec.h"
#include "proxy/http/cause.h"
#include "proxy/http/message.h"
#include "proxy/route/route.h"

// Whether a failed try may be repeated: pure decisions. A try that was provably not processed is repeated freely, and
// so is, once, one whose idle connection turned out to have ended, if its method is idempotent; any other only if the
// route's policy names what happened, and never with a method that is not idempotent (RFC 9110, 9.2.2) - but a gRPC
// call may be, for the gRPC statuses that the policy names, because naming them says so.

namespace weft::forward {

// How one try ended, as far as a retry is concerned.
struct TryOutcome {
  // An answer came: its status, and what else counts. Otherwise `cause` and `reason` say what went wrong.
  bool answered = false;
  bool answer_ended = false;  // It had no body.
  uint16_t status = 0;
  const http::ResponseHead* head = nullptr;
  std::optional<int> grpc_status;  // Of an answer without body (trailers-only).
  bool envoy_rate_limited = false;
  http::Cause cause = http::Cause::kNone;
  codec::ResetReason reason = codec::ResetReason::kNone;
  bool request_bytes_written = false;  // Something of the request reached the connection's socket.
  bool had_new_connection = false;     // kOnNewConnection was the verdict on an earlier try of this request.
};

enum class RetryVerdict : uint8_t {
  kNo,
  kFree,             // Provably not processed: at once, on another connection, without counting.
  kOnNewConnection,  // The keep-alive race: at once, to the same host on a connection made for it, without counting.
  kByPolicy,         // Counts against num_retries and the retry budget, after a back-off.
};

RetryVerdict retry_verdict(const route::RetryPolicy* policy, const http::RequestHead& request,
                           const TryOutcome& outcome);

// Envoy's fully jittered exponential back-off before retry number `retry` (1 is the first): milliseconds.
int64_t back_off_ms(const route::RetryPolicy& policy, uint32_t retry, base::Random& random);

}  // namespace weft::forward
