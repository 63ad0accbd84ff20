#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/http/message.h"
#include "proxy/route/route.h"

// How long an exchange may take: pure functions from the route and from what the caller says it will wait.

namespace weft::forward {

struct Deadlines {
  int64_t request_timeout_ms = 0;  // From the request's last byte to the answer's last byte; 0: none.
  int64_t stream_duration_ms = 0;  // From the request's first byte; 0: none.
  int64_t per_try_timeout_ms = 0;  // From the moment a connection takes the try; 0: none.
};

// `respect_expected_timeout`: x-envoy-expected-rq-timeout-ms, set by a proxy before us, bounds the request's time too.
Deadlines deadlines_of(const route::ClusterAction& action, const http::RequestHead& request,
                       int64_t connection_max_stream_duration_ms, bool respect_expected_timeout);

// gRPC's grpc-timeout ("100m", "5S") in milliseconds, rounded up; none if it is malformed.
std::optional<int64_t> parse_grpc_timeout_ms(std::string_view text);

// The time remaining as grpc-timeout writes it; `buffer` holds the text.
std::string_view format_grpc_timeout(int64_t ms, char (&buffer)[24]);

}  // namespace weft::forward
