#pragma once

// The known name that a mistyped one most likely meant. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace weft::text {

// The candidate with the fewest edits (insert, remove, replace, swap of neighbours; case, '_' and '-' count for
// nothing), if they are few for the length of the name; else empty.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace weft::text
