#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "proxy/config/compile/context.h"

// Access logs: files and the standard streams. Logs that say the same share one object, and so one open file.

namespace weft::config {

namespace accesslog_v3 = envoy::config::accesslog::v3;

using AccessLogs = std::vector<std::shared_ptr<observe::AccessLog>>;

// `path` is that of the list's field.
AccessLogs compile_access_logs(Context& context,
                               const google::protobuf::RepeatedPtrField<accesslog_v3::AccessLog>& logs,
                               std::string_view path);

// A log to a file in the default format; nothing for an empty name.
AccessLogs compile_access_log_path(Context& context, const std::string& file, std::string_view path);

}  // namespace weft::config
