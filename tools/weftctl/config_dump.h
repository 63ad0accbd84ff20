#pragma once

// What a running proxy has, as its admin port tells it: weft-proxy's and Envoy's /config_dump. Pure; main thread.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::weftctl {

// The route configuration of this name among those that the proxy has applied, serialised. InvalidArgument if the text
// is no /config_dump, NotFound if the proxy has no such routes.
absl::StatusOr<std::string> routes_of_dump(std::string_view dump, const std::string& name);

// The connection manager of the listener of this name, serialised: of what it says, how it reads paths. Errors as
// above.
absl::StatusOr<std::string> manager_of_dump(std::string_view dump, const std::string& listener);

}  // namespace weft::weftctl
