#pragma once

// A response as the bytes of its message. What is large of a resource is not copied: the buffer holds on to it. Pure;
// any thread.

#include <grpcpp/support/byte_buffer.h>

#include "control-plane/xds/stream.h"

namespace weft::control::xds {

grpc::ByteBuffer encode(const Response& response, Form form);

}  // namespace weft::control::xds
