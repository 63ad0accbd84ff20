#pragma once

// A tree of nodes as JSON or YAML. Pure; any thread.

#include <string>

#include "api/text/document.h"

namespace weft::text {

// `level` is how far `node` is indented already.
void append_json(const Node& node, bool indent, int level, std::string* out);
// `inline_first`: the cursor already stands where the first line belongs, after "- ".
void append_yaml(const Node& node, int level, bool inline_first, std::string* out);

}  // namespace weft::text
