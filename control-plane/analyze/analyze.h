#pragma once

// What is wrong with a mesh that is valid object by object: references that lead nowhere, rules that never match,
// policies in each other's way, services that nobody serves. Pure; any thread.

#include "control-plane/analyze/finding.h"

namespace weft::control::analyze {

// The worst first, then by object; each once.
Findings analyze(const Input& input);

// Those of `after` that are about one of `keys` or are not in `before`: what a change is responsible for.
Findings of_change(const Findings& before, const Findings& after, const std::vector<source::Key>& keys);

}  // namespace weft::control::analyze
