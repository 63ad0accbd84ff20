#pragma once

#include <string>
#include <string_view>

#include "envoy/config/core/v3/config_source.pb.h"
#include "proxy/config/compile/context.h"

// Where resources come from. What kind of source is supported the table says; here it must also be whole.

namespace weft::config {

// The source as one string, equal for what is equal: config/xds makes or finds the source by it. Empty, with an error,
// when it names none.
std::string compile_config_source(Context& context, const core_v3::ConfigSource& source, std::string_view path);

// Reports what cannot be done as it says.
void check_api_config_source(Context& context, const core_v3::ApiConfigSource& source, std::string_view path);

// Adds to the shared parts the bootstrap's clusters by which control planes can be called. Before all that is checked.
void find_control_plane_clusters(Context& context);

}  // namespace weft::config
