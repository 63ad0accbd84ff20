#include "proxy/config/compile/access_log.h"

#include <google/protobuf/struct.pb.h>

#include <cmath>

#include "envoy/extensions/access_loggers/file/v3/file.pb.h"
#include "envoy/extensions/access_loggers/stream/v3/stream.pb.h"
#include "proxy/config/compile/access_log_filter.h"
#include "proxy/config/compile/data_source.h"

namespace weft::config {
namespace {

namespace file_v3 = envoy::extensions::access_loggers::file::v3;
namespace stream_v3 = envoy::extensions::access_loggers::stream::v3;

std::string number_text(double value) {
  if (value == std::floor(value) && std::fabs(value) < 1e15) return text::cat(static_cast<int64_t>(value));
  return text::cat(value);
}

// The members of a JSON format. Lists are refused: the formatter has no place for them.
std::vector<observe::JsonField> compile_json(Context& context, const google::protobuf::Struct& format,
                                             std::string_view path) {
  using Kind = observe::JsonField::Kind;
  std::vector<observe::JsonField> fields;
  // By name, so that the order of members does not change from one run to the next.
  std::map<std::string, const google::protobuf::Value*> members;
  for (const auto& [name, value] : format.fields()) members[name] = &value;
  for (const auto& [name, value] : members) {
    observe::JsonField field;
    field.name = name;
    switch (value->kind_case()) {
      case google::protobuf::Value::kStringValue:
        field.text = value->string_value();
        break;
      case google::protobuf::Value::kNumberValue:
        field.kind = Kind::kLiteral;
        field.text = number_text(value->number_value());
        break;
      case google::protobuf::Value::kBoolValue:
        field.kind = Kind::kLiteral;
        field.text = value->bool_value() ? "true" : "false";
        break;
      case google::protobuf::Value::kStructValue:
        field.kind = Kind::kObject;
        field.fields = compile_json(context, value->struct_value(), key_path(path, name));
        break;
      case google::protobuf::Value::kListValue:
        context.error(key_path(path, name), "a list in a log format is not supported");
        continue;
      default:
        field.kind = Kind::kLiteral;
        field.text = "null";
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

std::shared_ptr<observe::AccessLog> open_log(Context& context, observe::AccessLogConfig config, const std::string& key,
                                             std::string_view path) {
  std::shared_ptr<observe::AccessLog>& slot = context.parts().access_logs_by_key[key];
  if (slot != nullptr) return slot;
  if (context.parts().log_writer == nullptr) context.parts().log_writer = observe::LogWriter::make();
  // A validation checks the format and leaves the file alone.
  if (!context.open_files()) config.path = "/dev/null";
  auto log = observe::make_access_log(config, context.workers(), context.parts().log_writer);
  if (!log.ok()) {
    context.error(path, std::string(log.status().message()));
    return nullptr;
  }
  slot = *std::move(log);
  context.parts().access_logs.push_back(slot);
  return slot;
}

void compile_file_log(Context& context, const file_v3::FileAccessLog& log, std::string_view path,
                      observe::AccessLogConfig& config) {
  config.path = log.path();
  if (config.path.empty()) context.error(field_path(path, "path"), "is empty");
  switch (log.access_log_format_case()) {
    case file_v3::FileAccessLog::kFormat:
      config.text_format = log.format();
      break;
    case file_v3::FileAccessLog::kJsonFormat:
      config.json_format = compile_json(context, log.json_format(), field_path(path, "json_format"));
      break;
    case file_v3::FileAccessLog::kTypedJsonFormat:
      config.json_format = compile_json(context, log.typed_json_format(), field_path(path, "typed_json_format"));
      break;
    case file_v3::FileAccessLog::kLogFormat:
      compile_format(context, log.log_format(), field_path(path, "log_format"), config);
      break;
    default:
      break;
  }
}

}  // namespace

AccessLogs compile_access_logs(Context& context,
                               const google::protobuf::RepeatedPtrField<accesslog_v3::AccessLog>& logs,
                               std::string_view path) {
  AccessLogs result;
  for (int i = 0; i < logs.size(); ++i) {
    const accesslog_v3::AccessLog& log = logs[i];
    std::string here = field_path(index_path(path, static_cast<size_t>(i)), "typed_config");
    observe::AccessLogConfig config;
    size_t errors_before = context.errors().size();
    file_v3::FileAccessLog file;
    stream_v3::StdoutAccessLog out;
    stream_v3::StderrAccessLog err;
    if (log.typed_config().UnpackTo(&file)) {
      compile_file_log(context, file, here, config);
    } else if (log.typed_config().UnpackTo(&out)) {
      config.path = "/dev/stdout";
      if (out.has_log_format()) compile_format(context, out.log_format(), field_path(here, "log_format"), config);
    } else if (log.typed_config().UnpackTo(&err)) {
      config.path = "/dev/stderr";
      if (err.has_log_format()) compile_format(context, err.log_format(), field_path(here, "log_format"), config);
    } else {
      continue;  // Reported as unsupported before.
    }
    if (log.has_filter()) {
      config.filter =
          compile_log_filter(context, log.filter(), field_path(index_path(path, static_cast<size_t>(i)), "filter"));
    }
    if (context.errors().size() != errors_before) continue;
    auto opened = open_log(context, std::move(config), log.SerializeAsString(), here);
    if (opened != nullptr) result.push_back(std::move(opened));
  }
  return result;
}

AccessLogs compile_access_log_path(Context& context, const std::string& file, std::string_view path) {
  if (file.empty()) return {};
  observe::AccessLogConfig config;
  config.path = file;
  auto opened = open_log(context, std::move(config), text::cat("path ", file), path);
  return opened == nullptr ? AccessLogs() : AccessLogs{opened};
}

}  // namespace weft::config
