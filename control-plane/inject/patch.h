#pragma once

// What is different between two trees, as an RFC 6902 patch. Pure; any thread.

#include "api/text/tree.h"

namespace weft::control::inject {

// A list of operations that makes `after` of `before`; empty if they are equal. Of lists it sees what was put in or
// taken out at one place; a list changed in several is replaced whole, if its length is another.
text::Tree make_patch(const text::Tree& before, const text::Tree& after);

}  // namespace weft::control::inject
