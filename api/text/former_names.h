#pragma once

// Fields of the v2 API and of early v3 that configurations found on the web still carry, and what replaced them. They
// are not in our protos any more, so a mistyped-name search would not find them. Pure.

#include <string_view>

namespace weft::text {

// What to write instead of `field` in the message `type`, or empty.
std::string_view successor_of(std::string_view type, std::string_view field);

}  // namespace weft::text
