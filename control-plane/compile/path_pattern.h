#pragma once

// A path of an AuthorizationPolicy as a matcher: strictly, or with all the ways to write the same path. Pure; any
// thread.

#include <string>

#include "envoy/config/rbac/v3/rbac.pb.h"

namespace weft::control::compile {

// The path as it stands: "/exact", "/prefix*", "*suffix", "*", or segments with {*} and, at the end, {**}.
void set_path(const std::string& pattern, envoy::config::rbac::v3::Permission* out);

// Also what an application may take for the same: with slashes that are doubled, escaped or the other way round, and
// every path with dot segments between such slashes, which a proxy does not resolve. For rules whose match refuses, as
// nobody should come by a rule by how he writes a path.
void set_path_in_any_writing(const std::string& pattern, envoy::config::rbac::v3::Permission* out);

}  // namespace weft::control::compile
