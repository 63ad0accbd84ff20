#pragma once

#include <string>
#include <string_view>

#include "proxy/base/random.h"

// The proof by which a WebSocket server over HTTP/1 shows that it understood (RFC 6455, 1.3). Over HTTP/2 there is none
// (RFC 8441, 5), so where the two sides speak different versions the proxy is one end of it. Pure.

namespace weft::forward {

// A fresh Sec-WebSocket-Key: 16 random bytes in base64.
std::string websocket_key(base::Random& random);

// The Sec-WebSocket-Accept that answers `key`.
std::string websocket_accept(std::string_view key);

}  // namespace weft::forward
