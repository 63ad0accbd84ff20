#pragma once

// The patterns of AuthorizationPolicies as matchers of Envoy's. Pure; any thread.

#include <string_view>

#include "envoy/type/matcher/v3/string.pb.h"

namespace weft::control::compile {

// "exact", "prefix*", "*suffix", or "*" for whatever is not empty. `before` is what every value has in front of it on
// the wire, but for suffixes, where it may be anything.
envoy::type::matcher::v3::StringMatcher string_pattern(std::string_view pattern, std::string_view before = "");

}  // namespace weft::control::compile
