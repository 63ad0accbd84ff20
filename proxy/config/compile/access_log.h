#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <memory>
#include <string_view>
#include <vector>

#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "proxy/config/compile/context.h"

// Access loggers: files, standard output and standard error, with text or JSON formats, perhaps only from some status
// on. Two loggers with the same destination, format and filter are one object.

namespace weft::config {

// `field` is the name of the repeated field of the message at `path`.
std::vector<std::shared_ptr<observe::AccessLog>> compile_access_logs(
    Context& context, const google::protobuf::RepeatedPtrField<envoy::config::accesslog::v3::AccessLog>& logs,
    std::string_view path, std::string_view field);

// A file with the default format (the admin's deprecated access_log_path). nullptr, with an error, if it cannot be made.
std::shared_ptr<observe::AccessLog> compile_plain_access_log(Context& context, const std::string& file,
                                                             std::string_view path);

}  // namespace weft::config
