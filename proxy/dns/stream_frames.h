#pragma once

#include <string>
#include <string_view>

#include "proxy/base/buffer.h"

// Messages on a stream: each has two bytes of its size before it (RFC 1035, 4.2.2). One thread.

namespace weft::dns {

void put_frame(base::Buffer& out, std::string_view message);
// Takes the next message off `in`; false if it is not all there.
bool take_frame(base::Buffer& in, std::string* message);

}  // namespace weft::dns
