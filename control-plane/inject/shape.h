#pragma once

// Whether a tree is what Kubernetes takes for a pod, as far as injection looks at it: after that it may rely on it.
// Pure; any thread.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "api/text/tree.h"
#include "control-plane/inject/settings.h"

namespace weft::control::inject {

using Locate = std::function<std::string(std::string_view path)>;

// metadata is absent or a map, its labels and annotations maps of strings; spec is a map with containers, which are, as
// initContainers and volumes may be, lists of maps with names. InvalidArgument, one line for each mistake.
absl::Status check_shape(const text::Tree& pod, const Locate& locate);

// One line for each.
absl::Status refusal(const std::vector<BadAnnotation>& bad, const Locate& locate);

// Whether a service can be called so.
bool is_service_name(std::string_view name);

}  // namespace weft::control::inject
