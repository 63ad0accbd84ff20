#include "proxy/config/compile/access_log.h"

#include <google/protobuf/struct.pb.h>

#include "api/text/print.h"
#include "envoy/config/core/v3/substitution_format_string.pb.h"
#include "envoy/extensions/access_loggers/file/v3/file.pb.h"
#include "envoy/extensions/access_loggers/stream/v3/stream.pb.h"
#include "proxy/config/compile/data_source.h"

namespace weft::config {
namespace {

namespace log_v3 = envoy::config::accesslog::v3;
namespace file_v3 = envoy::extensions::access_loggers::file::v3;
namespace stream_v3 = envoy::extensions::access_loggers::stream::v3;

std::vector<observe::JsonField> compile_json(Context& context, const google::protobuf::Struct& format,
                                             std::string_view path) {
  using google::protobuf::Value;
  std::vector<observe::JsonField> fields;
  // A map of protobuf has no order; a log line must have one that stays.
  std::map<std::string, const Value*> sorted;
  for (const auto& [name, value] : format.fields()) sorted[name] = &value;
  for (const auto& [name, value] : sorted) {
    observe::JsonField field;
    field.name = name;
    switch (value->kind_case()) {
      case Value::kStringValue:
        field.text = value->string_value();
        break;
      case Value::kStructValue:
        field.kind = observe::JsonField::Kind::kObject;
        field.fields = compile_json(context, value->struct_value(), key_path(path, name));
        break;
      case Value::kListValue:
        context.error(key_path(path, name), "lists are not supported in a JSON format");
        break;
      default:
        field.kind = observe::JsonField::Kind::kLiteral;
        field.text = text::print_json(*value, {.indent = false});
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

void compile_format(Context& context, const core_v3::SubstitutionFormatString& format, std::string_view path,
                    observe::AccessLogConfig& config) {
  config.omit_empty_values = format.omit_empty_values();
  switch (format.format_case()) {
    case core_v3::SubstitutionFormatString::kTextFormat:
      config.text_format = format.text_format();
      break;
    case core_v3::SubstitutionFormatString::kTextFormatSource:
      config.text_format =
          read_data_source(context, format.text_format_source(), field_path(path, "text_format_source"));
      break;
    case core_v3::SubstitutionFormatString::kJsonFormat:
      config.json_format = compile_json(context, format.json_format(), field_path(path, "json_format"));
      break;
    default:
      context.error(path, "expected text_format, text_format_source or json_format");
  }
}

void compile_file(Context& context, const file_v3::FileAccessLog& file, std::string_view path,
                  observe::AccessLogConfig& config) {
  config.path = file.path();
  if (file.path().empty()) context.error(field_path(path, "path"), "is required");
  switch (file.access_log_format_case()) {
    case file_v3::FileAccessLog::kFormat:
      config.text_format = file.format();
      break;
    case file_v3::FileAccessLog::kJsonFormat:
      config.json_format = compile_json(context, file.json_format(), field_path(path, "json_format"));
      break;
    case file_v3::FileAccessLog::kTypedJsonFormat:
      config.json_format = compile_json(context, file.typed_json_format(), field_path(path, "typed_json_format"));
      break;
    case file_v3::FileAccessLog::kLogFormat:
      compile_format(context, file.log_format(), field_path(path, "log_format"), config);
      break;
    default:
      break;
  }
}

// False: the logger is of no kind that we have; it was reported as unsupported.
bool compile_logger(Context& context, const log_v3::AccessLog& log, std::string_view path,
                    observe::AccessLogConfig& config) {
  const google::protobuf::Any& any = log.typed_config();
  std::string below = field_path(path, "typed_config");
  if (any.Is<file_v3::FileAccessLog>()) {
    file_v3::FileAccessLog file;
    if (!context.unpack(any, &file, below)) return false;
    compile_file(context, file, below, config);
    return true;
  }
  if (any.Is<stream_v3::StdoutAccessLog>()) {
    stream_v3::StdoutAccessLog out;
    if (!context.unpack(any, &out, below)) return false;
    config.path = "/dev/stdout";
    if (out.has_log_format()) compile_format(context, out.log_format(), field_path(below, "log_format"), config);
    return true;
  }
  if (any.Is<stream_v3::StderrAccessLog>()) {
    stream_v3::StderrAccessLog err;
    if (!context.unpack(any, &err, below)) return false;
    config.path = "/dev/stderr";
    if (err.has_log_format()) compile_format(context, err.log_format(), field_path(below, "log_format"), config);
    return true;
  }
  if (!log.has_typed_config()) context.error(path, "expected typed_config");
  return false;
}

void compile_filter(Context& context, const log_v3::AccessLogFilter& filter, std::string_view path,
                    observe::AccessLogConfig& config) {
  if (!filter.has_status_code_filter()) return;
  const log_v3::ComparisonFilter& comparison = filter.status_code_filter().comparison();
  uint32_t least = comparison.value().default_value();
  if (comparison.op() != log_v3::ComparisonFilter::GE) return;  // Reported as unsupported.
  if (least > 999) context.error(path, text::cat("a status is at most 999, got ", least));
  config.least_status = static_cast<uint16_t>(least);
}

// One object for equal loggers. When files shall stay closed only the formats are checked.
std::shared_ptr<observe::AccessLog> make(Context& context, const std::string& key,
                                         const observe::AccessLogConfig& config, std::string_view path) {
  auto found = context.access_logs_by_key.find(key);
  if (found != context.access_logs_by_key.end()) return found->second;
  observe::AccessLogConfig wanted = config;
  if (!context.open_files()) wanted.path = "/dev/null";
  if (context.log_writer == nullptr) context.log_writer = observe::LogWriter::make();
  auto log = observe::make_access_log(wanted, context.workers(), context.log_writer);
  if (!log.ok()) {
    context.error(path, std::string(log.status().message()));
    return nullptr;
  }
  context.access_logs_by_key[key] = *log;
  context.access_logs.push_back(*log);
  return *std::move(log);
}

}  // namespace

std::vector<std::shared_ptr<observe::AccessLog>> compile_access_logs(
    Context& context, const google::protobuf::RepeatedPtrField<log_v3::AccessLog>& logs, std::string_view path,
    std::string_view field) {
  std::vector<std::shared_ptr<observe::AccessLog>> result;
  for (int i = 0; i < logs.size(); ++i) {
    std::string each = at(path, field, i);
    observe::AccessLogConfig config;
    if (!compile_logger(context, logs[i], each, config)) continue;
    if (logs[i].has_filter()) compile_filter(context, logs[i].filter(), field_path(each, "filter"), config);
    std::string key = text::print_json(logs[i], {.indent = false});
    if (auto log = make(context, key, config, each)) result.push_back(std::move(log));
  }
  return result;
}

std::shared_ptr<observe::AccessLog> compile_plain_access_log(Context& context, const std::string& file,
                                                             std::string_view path) {
  observe::AccessLogConfig config;
  config.path = file;
  return make(context, "plain:" + file, config, path);
}

}  // namespace weft::config
