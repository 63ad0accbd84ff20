#pragma once

#include <optional>
#include <string_view>

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"

// Numbers that configurations keep in static layers of layered_runtime. A key may be written whole ("a.b.c: 1") or as
// objects within each other; a later layer wins.

namespace weft::config {

std::optional<double> runtime_number(const envoy::config::bootstrap::v3::Bootstrap& bootstrap, std::string_view key);

}  // namespace weft::config
