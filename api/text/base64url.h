#pragma once

#include <string>
#include <string_view>

// base64url without padding (RFC 4648, 5; RFC 7515, 2), strict: another alphabet, padding, or bits that are not zero
// behind the last byte are refused, so that one text has one encoding. Pure.

namespace weft::text {

// False: it is not valid, and `out` is of no use.
bool decode_base64url(std::string_view text, std::string* out);
std::string encode_base64url(std::string_view bytes);

}  // namespace weft::text
