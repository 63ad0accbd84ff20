#pragma once

// UTF-8 (RFC 3629). Pure; any thread.

#include <cstddef>
#include <string_view>

namespace weft::text {

// Bytes of a well-formed sequence at the start of `text`, which is not empty; 0: there is none.
size_t utf8_sequence(std::string_view text);

// Bytes at the start of `text` that are well-formed UTF-8; those that are ASCII.
size_t valid_utf8(std::string_view text);
size_t ascii_prefix(std::string_view text);

}  // namespace weft::text
