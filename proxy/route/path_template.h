#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string_view>

#include "proxy/route/matcher.h"

// Path templates, as Envoy's uri_template extension has them: `*` stands for what is within one segment and not empty,
// `**`, which must be the last operator, for any rest, `{name}` for `*` and `{name=pattern}` for its pattern; all else
// is text. Pure.

namespace weft::route {

// What matches paths without a query. Errors: no leading slash, two slashes, a bad variable, a character that no path
// has, an operator behind `**`, more than 5 variables or 16 operators (Envoy's limit on variables, and ours).
absl::StatusOr<std::shared_ptr<const Regex>> compile_path_template(std::string_view text);

}  // namespace weft::route
