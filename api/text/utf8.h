#pragma once

// UTF-8 (RFC 3629). Pure; any thread.

#include <cstddef>
#include <string_view>

namespace weft::text {

// Bytes of a well-formed sequence at the start of `text`, which is not empty; 0: there is none.
size_t utf8_sequence(std::string_view text);

}  // namespace weft::text
