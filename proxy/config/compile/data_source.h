#pragma once

#include <string>
#include <string_view>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/transport/tls_config.h"

// Files, inline texts and environment variables that stand for content.

namespace weft::config {

// The content; empty, with an error, when it cannot be read.
std::string read_data_source(Context& context, const core_v3::DataSource& source, std::string_view path);

// The same as transport/ takes it: a file stays a path, so that messages and /certs can name it.
transport::DataSource compile_data_source(Context& context, const core_v3::DataSource& source, std::string_view path);

}  // namespace weft::config
