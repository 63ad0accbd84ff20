#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/route/matcher.h"

// What a virtual host or a route allows other origins (Fetch, "CORS protocol"). The CORS filter acts on it.

namespace weft::route {

struct CorsPolicy {
  std::vector<StringMatcher> allow_origins;
  std::string allow_methods;  // Header values, sent as they stand; empty: the header is not sent.
  std::string allow_headers;
  std::string expose_headers;
  std::string max_age;
  bool allow_credentials = false;
  bool allow_private_network = false;
  // A preflight of an origin that is not allowed goes on to the upstream instead of being answered without permission.
  bool forward_not_matching_preflights = true;
  // The share of requests for which the filter acts; denominator 0: all.
  uint32_t enabled_numerator = 0, enabled_denominator = 0;
  // The share of the others whose origins are looked at and counted, without an effect; denominator 0: none.
  uint32_t shadow_numerator = 0, shadow_denominator = 0;
};

}  // namespace weft::route
