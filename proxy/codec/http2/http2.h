#pragma once

#include <memory>

#include "proxy/codec/codec.h"

// HTTP/2 (RFC 9113) behind the codec interface, its framing and HPACK by nghttp2.

namespace weft::codec::http2 {

// Both keep references: `limits` (and `events`) outlive the codec.
std::unique_ptr<ServerCodec> make_server_codec(const Limits& limits, ServerCodec::Events& events);
std::unique_ptr<ClientCodec> make_client_codec(const Limits& limits);

}  // namespace weft::codec::http2
