#pragma once

#include <memory>

#include "proxy/forward/deadlines.h"
#include "proxy/http/message.h"
#include "proxy/route/route.h"

// What a caller may ask of the router by headers (Envoy's router filter, "HTTP headers (consumed from downstreams)").
// At the edge they are taken away from outsiders before (stream/prepare). Pure.

namespace weft::forward {

// More retries than this no header gets; a route may have more.
constexpr uint32_t kMostRetriesByHeader = 10;

// Takes x-envoy-upstream-rq-timeout-ms, x-envoy-upstream-rq-per-try-timeout-ms, x-envoy-max-retries,
// x-envoy-retry-on, x-envoy-retry-grpc-on and x-envoy-retriable-status-codes out of the request. The times go into
// `deadlines`; the rest, on top of what the route has (may be nullptr), into the policy returned, nullptr when the
// caller asked for no retry. What is malformed or unknown counts as not said.
std::shared_ptr<const route::RetryPolicy> obey_caller(http::RequestHead& request, const route::RetryPolicy* configured,
                                                      Deadlines& deadlines);

}  // namespace weft::forward
