#pragma once

// Which nodes a NodeMatcher of Envoy's means (envoy.type.matcher.v3). Pure; any thread.

#include <functional>

#include "absl/status/statusor.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/type/matcher/v3/node.pb.h"

namespace weft::control::server {

using NodeMatcher = std::function<bool(const envoy::config::core::v3::Node& node)>;

// By id and by metadata, all of which must match. InvalidArgument names what is not supported, or a regular expression
// that is none.
absl::StatusOr<NodeMatcher> make_node_matcher(const envoy::type::matcher::v3::NodeMatcher& matcher);

}  // namespace weft::control::server
