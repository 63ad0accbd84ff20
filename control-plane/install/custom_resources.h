#pragma once

// Kubernetes' definitions of our own kinds, from source/kind.h. Pure; any thread.

#include <vector>

#include "api/text/tree.h"

namespace weft::control::install {

inline constexpr char kGroup[] = "weft.mesh";

// One CustomResourceDefinition for each kind of the group weft.mesh, in the order of source::all_kinds().
std::vector<text::Tree> custom_resource_definitions();

// The plurals of these kinds: "trafficpolicies".
std::vector<std::string> custom_resource_plurals();

}  // namespace weft::control::install
