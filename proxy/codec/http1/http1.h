#pragma once

#include <memory>

#include "proxy/codec/codec.h"

// HTTP/1.1 (RFC 9112) behind the codec interface: strict in what it takes, one exchange at a time, in order.

namespace weft::codec::http1 {

// Both keep references: `limits` (and `events`) outlive the codec.
std::unique_ptr<ServerCodec> make_server_codec(const Limits& limits, ServerCodec::Events& events);
std::unique_ptr<ClientCodec> make_client_codec(const Limits& limits);

}  // namespace weft::codec::http1
