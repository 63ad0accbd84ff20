#pragma once

#include <string_view>

#include "envoy/config/core/v3/protocol.pb.h"
#include "proxy/codec/codec.h"
#include "proxy/config/compile/context.h"

// HTTP protocol options, which listeners and clusters share.

namespace weft::config {

// Errors: what this proxy will not do.
void compile_http1_options(Context& context, const core_v3::Http1ProtocolOptions& options, std::string_view path,
                           codec::Limits& limits);

struct PingPolicy {
  int64_t interval_ms = 0;
  int64_t timeout_ms = 0;
};
// HTTP/2's settings, windows and pings. Errors: what RFC 9113, 6.5.2 does not allow.
PingPolicy compile_http2_options(Context& context, const core_v3::Http2ProtocolOptions& options, std::string_view path,
                                 codec::Limits& limits);

// Reports that a message that is not valid cannot end its stream alone over HTTP/1, as the field at `path` asks.
void refuse_stream_error(Context& context, std::string_view path);

}  // namespace weft::config
