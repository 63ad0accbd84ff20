#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "proxy/config/compile/context.h"

// The filters of access logs: which exchanges and connections a log is told of.

namespace weft::config {

// nullptr, with an error, when it does not hold together.
std::shared_ptr<const observe::LogFilter> compile_log_filter(
    Context& context, const envoy::config::accesslog::v3::AccessLogFilter& filter, std::string_view path);

}  // namespace weft::config
