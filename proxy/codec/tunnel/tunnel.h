#pragma once

#include <memory>

#include "proxy/codec/codec.h"

// The upstream end of a CONNECT that is answered here (RFC 9110, 9.3.6): no HTTP goes over the connection, only the
// tunnel's bytes. A request's head is answered 200 as soon as the connection stands, its body is written as it is, and
// what the endpoint sends is the answer's body. The halves end apart. One exchange per connection. Lives with its
// connection, on one thread; Limits play no part.

namespace weft::codec::tunnel {

std::unique_ptr<ClientCodec> make_client_codec();

}  // namespace weft::codec::tunnel
