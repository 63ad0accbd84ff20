#include "proxy/forward/deadlines.h"

#include <algorithm>
#include <charconv>

namespace weft::forward {
namespace {

constexpr int64_t kDefaultRouteTimeoutMs = 15'000;

int64_t sooner(int64_t a_ms, int64_t b_ms) {
  if (a_ms == 0) return b_ms;
  if (b_ms == 0) return a_ms;
  return std::min(a_ms, b_ms);
}

}  // namespace

std::optional<int64_t> parse_grpc_timeout_ms(std::string_view text) {
  // At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, value);
  if (error != std::errc() || end != text.data() + text.size() - 1 || value < 0) return std::nullopt;
  switch (text.back()) {
    case 'H':
      return value * 3'600'000;
    case 'M':
      return value * 60'000;
    case 'S':
      return value * 1'000;
    case 'm':
      return value;
    case 'u':
      return (value + 999) / 1'000;
    case 'n':
      return (value + 999'999) / 1'000'000;
    default:
      return std::nullopt;
  }
}

std::string_view format_grpc_timeout(int64_t ms, char (&buffer)[24]) {
  ms = std::max<int64_t>(ms, 1);
  char unit = 'm';
  if (ms > 99'999'999) {
    ms /= 1'000;
    unit = 'S';
  }
  char* end = std::to_chars(buffer, buffer + sizeof(buffer) - 1, std::min<int64_t>(ms, 99'999'999)).ptr;
  *end++ = unit;
  return {buffer, static_cast<size_t>(end - buffer)};
}

Deadlines deadlines_of(const route::ClusterAction& action, const http::RequestHead& request,
                       int64_t connection_max_stream_duration_ms, bool respect_expected_timeout) {
  Deadlines deadlines;
  deadlines.request_timeout_ms = action.timeout_ms.value_or(kDefaultRouteTimeoutMs);
  deadlines.stream_duration_ms = action.max_stream_duration_ms.value_or(connection_max_stream_duration_ms);

  if (action.grpc_timeout_header_max_ms && request.headers.has(http::HeaderId::kGrpcTimeout)) {
    std::optional<int64_t> asked_ms = parse_grpc_timeout_ms(request.headers.value(http::HeaderId::kGrpcTimeout));
    if (asked_ms) {
      int64_t allowed_ms = std::max<int64_t>(sooner(*asked_ms, *action.grpc_timeout_header_max_ms), 1);
      if (action.grpc_timeout_header_offset_ms < allowed_ms) allowed_ms -= action.grpc_timeout_header_offset_ms;
      deadlines.stream_duration_ms = allowed_ms;
      deadlines.request_timeout_ms = 0;
    }
  }
  if (respect_expected_timeout && request.headers.has(http::HeaderId::kXEnvoyExpectedRqTimeoutMs)) {
    std::string_view text = request.headers.value(http::HeaderId::kXEnvoyExpectedRqTimeoutMs);
    int64_t expected_ms = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), expected_ms);
    if (error == std::errc() && end == text.data() + text.size() && expected_ms > 0) {
      deadlines.request_timeout_ms = sooner(deadlines.request_timeout_ms, expected_ms);
    }
  }
  if (action.retry) deadlines.per_try_timeout_ms = action.retry->per_try_timeout_ms;
  return deadlines;
}

}  // namespace weft::forward
