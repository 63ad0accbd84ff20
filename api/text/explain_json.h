#pragma once

// What is wrong with a text that is no JSON. Pure; any thread.

#include <optional>
#include <string_view>

#include "api/text/document.h"

namespace weft::text {

// Nothing if it finds no fault, which does not make it JSON. The position is within `text`, whose first line is 1.
std::optional<SyntaxError> explain_json(std::string_view text, int max_depth);

}  // namespace weft::text
