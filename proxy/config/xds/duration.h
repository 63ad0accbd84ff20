#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>

#include "envoy/config/core/v3/config_source.pb.h"

// Times that a configuration or a control plane gives, as the proxy counts them. Pure; any thread.

namespace weft::config {

// Milliseconds, rounded up, so that what is not nothing does not become "none". Any value is taken, as a server may
// send any: what is beyond protobuf's range (10,000 years) counts as its end.
int64_t to_ms(const google::protobuf::Duration& duration);

namespace xds {

// How long what needs a resource waits for it, unless its ConfigSource says otherwise.
inline constexpr int64_t kInitialFetchTimeoutMs = 15'000;
// 0: for ever.
int64_t initial_fetch_timeout_ms(const envoy::config::core::v3::ConfigSource& source);

}  // namespace xds
}  // namespace weft::config
