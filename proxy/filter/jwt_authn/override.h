#pragma once

#include <string>

#include "proxy/route/route.h"

// What a route says to the JWT filter in place of the filter's own rules (Envoy's PerRouteConfig).

namespace weft::filter {

struct JwtOverride final : route::FilterOverride {
  bool disabled = false;
  std::string requirement;  // Its name in the filter's requirement_map.
};

}  // namespace weft::filter
