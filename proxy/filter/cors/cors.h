#pragma once

#include <memory>

#include "proxy/filter/filter.h"

// The CORS filter (Fetch, "CORS protocol"): answers preflights of allowed origins, and tells browsers what they may
// show of the answers to the others. The policy is the route's, or else its virtual host's; without one the filter does
// nothing. Shared by all workers; its filters belong to one exchange each.

namespace weft::filter {

FilterFactoryPtr make_cors_filter();

}  // namespace weft::filter
