#include "proxy/config/xds/duration.h"

#include <algorithm>

namespace weft::config {

int64_t to_ms(const google::protobuf::Duration& duration) {
  constexpr int64_t kMostSeconds = 315'576'000'000;
  return std::clamp(duration.seconds(), -kMostSeconds, kMostSeconds) * 1000 +
         (duration.nanos() + int64_t{999'999}) / 1'000'000;
}

namespace xds {

int64_t initial_fetch_timeout_ms(const envoy::config::core::v3::ConfigSource& source) {
  return source.has_initial_fetch_timeout() ? to_ms(source.initial_fetch_timeout()) : kInitialFetchTimeoutMs;
}

}  // namespace xds
}  // namespace weft::config
