#include "proxy/forward/caller.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "proxy/route/retry_condition.h"

namespace weft::forward {
namespace {

using http::HeaderId;

constexpr std::string_view kRetriableStatusCodes = "x-envoy-retriable-status-codes";
constexpr int64_t kLongestMs = int64_t{1} << 40;

std::optional<int64_t> number(std::string_view text, int64_t most) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return std::min(value, most);
}

std::optional<int64_t> take_number(http::HeaderMap& headers, HeaderId id, int64_t most) {
  if (!headers.has(id)) return std::nullopt;
  std::optional<int64_t> value = number(headers.value(id), most);
  headers.remove(id);
  return value;
}

template <typename Each>
void for_each_item(std::string_view list, Each each) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) each(item);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

uint32_t take_conditions(http::HeaderMap& headers, HeaderId id, bool of_grpc) {
  constexpr uint32_t kGrpc = ~((uint32_t{1} << 16) - 1);
  uint32_t on = 0;
  std::string_view list;
  if (!headers.joined_value(id, &list)) return 0;
  for_each_item(list, [&](std::string_view name) { on |= route::retry_condition(name); });
  headers.remove(id);
  return of_grpc ? on & kGrpc : on & ~kGrpc;
}

void take_times(http::HeaderMap& headers, Deadlines& deadlines) {
  if (auto ms = take_number(headers, HeaderId::kXEnvoyUpstreamRqTimeoutMs, kLongestMs)) {
    deadlines.request_timeout_ms = *ms;
  }
  if (auto ms = take_number(headers, HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs, kLongestMs)) {
    deadlines.per_try_timeout_ms = *ms;
  }
  bool pointless = deadlines.request_timeout_ms != 0 && deadlines.per_try_timeout_ms >= deadlines.request_timeout_ms;
  if (pointless) deadlines.per_try_timeout_ms = 0;
}

}  // namespace

std::shared_ptr<const route::RetryPolicy> obey_caller(http::RequestHead& request, const route::RetryPolicy* configured,
                                                      Deadlines& deadlines) {
  http::HeaderMap& headers = request.headers;
  take_times(headers, deadlines);
  uint32_t on = take_conditions(headers, HeaderId::kXEnvoyRetryOn, false) |
                take_conditions(headers, HeaderId::kXEnvoyRetryGrpcOn, true);
  std::optional<int64_t> retries = take_number(headers, HeaderId::kXEnvoyMaxRetries, kMostRetriesByHeader);
  bool no_policy_to_change = on == 0 && (!retries || configured == nullptr);
  if (no_policy_to_change) return nullptr;

  auto policy = configured == nullptr ? std::make_shared<route::RetryPolicy>()
                                      : std::make_shared<route::RetryPolicy>(*configured);
  policy->on |= on;
  if (retries) policy->num_retries = static_cast<uint32_t>(*retries);
  std::string_view codes;
  if ((on & route::RetryPolicy::kRetriableStatusCodes) != 0 && headers.joined_value(kRetriableStatusCodes, &codes)) {
    for_each_item(codes, [&](std::string_view code) {
      std::optional<int64_t> status = number(code, 1'000);
      if (status && *status < 600) policy->retriable_status_codes.push_back(static_cast<uint16_t>(*status));
    });
    headers.remove(kRetriableStatusCodes);
  }
  return policy;
}

}  // namespace weft::forward
