#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/config/compile/routes.h"
#include "proxy/route/retry_condition.h"

namespace weft::config {
namespace {

uint32_t compile_retry_on(Context& context, const std::string& list, std::string_view path) {
  uint32_t bits = 0;
  for (absl::string_view piece : absl::StrSplit(list, ',')) {
    absl::string_view stripped = absl::StripAsciiWhitespace(piece);
    std::string_view name(stripped.data(), stripped.size());
    if (name.empty()) continue;
    uint32_t bit = route::retry_condition(name);
    if (bit == 0) context.error(path, text::cat("\"", name, "\" is no condition for a retry that we know"));
    bits |= bit;
  }
  return bits;
}

}  // namespace

route::RetryPolicy compile_retry_policy(Context& context, const route_v3::RetryPolicy& policy, std::string_view path) {
  route::RetryPolicy result;
  result.on = compile_retry_on(context, policy.retry_on(), field_path(path, "retry_on"));
  result.num_retries = WEFT_VALUE_OR(policy, num_retries, 1);
  result.per_try_timeout_ms = to_ms(policy.per_try_timeout());
  for (uint32_t status : policy.retriable_status_codes()) {
    result.retriable_status_codes.push_back(static_cast<uint16_t>(status));
  }
  for (int i = 0; i < policy.retriable_headers_size(); ++i) {
    result.retriable_headers.push_back(
        compile_header_match(context, policy.retriable_headers(i), at(path, "retriable_headers", i)));
  }
  for (int i = 0; i < policy.retriable_request_headers_size(); ++i) {
    result.retriable_request_headers.push_back(
        compile_header_match(context, policy.retriable_request_headers(i), at(path, "retriable_request_headers", i)));
  }
  if (policy.has_retry_back_off()) {
    std::string at_back_off = field_path(path, "retry_back_off");
    result.back_off_base_ms = to_ms(policy.retry_back_off().base_interval());
    if (result.back_off_base_ms <= 0) {
      context.error(field_path(at_back_off, "base_interval"), "expected more than zero");
      result.back_off_base_ms = 1;
    }
    result.back_off_max_ms = WEFT_MS_OR(policy.retry_back_off(), max_interval, result.back_off_base_ms * 10);
    if (result.back_off_max_ms < result.back_off_base_ms) {
      context.error(field_path(at_back_off, "max_interval"), "is less than base_interval");
    }
  }
  // The table of what is supported admits no other predicate than previous_hosts.
  result.omit_previous_hosts = policy.retry_host_predicate_size() > 0;
  if (policy.host_selection_retry_max_attempts() > 0) {
    result.host_selection_max_attempts = static_cast<uint32_t>(policy.host_selection_retry_max_attempts());
  }
  return result;
}

}  // namespace weft::config
