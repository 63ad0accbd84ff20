#include "proxy/config/compile/data_source.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "proxy/config/compile/secret.h"

namespace weft::config {

std::string read_data_source(Context& context, const core_v3::DataSource& source, std::string_view path) {
  transport::DataSource found = compile_data_source(context, source, path);
  if (found.path.empty()) return found.bytes;
  std::ifstream file(found.path, std::ios::binary);
  if (!file) {
    context.error(field_path(path, "filename"), text::cat("cannot read \"", found.path, "\""));
    return {};
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

transport::DataSource compile_data_source(Context& context, const core_v3::DataSource& source, std::string_view path) {
  transport::DataSource result;
  switch (source.specifier_case()) {
    case core_v3::DataSource::kFilename:
      result.path = source.filename();
      if (result.path.empty()) context.error(field_path(path, "filename"), "is empty");
      if (context.secrets != nullptr) {
        auto known = context.secrets->files.find(result.path);
        if (known != context.secrets->files.end()) result.bytes = known->second;
      }
      break;
    case core_v3::DataSource::kInlineBytes:
      result.bytes = source.inline_bytes();
      break;
    case core_v3::DataSource::kInlineString:
      result.bytes = source.inline_string();
      break;
    case core_v3::DataSource::kEnvironmentVariable: {
      const char* value = std::getenv(source.environment_variable().c_str());
      if (value == nullptr) {
        context.error(field_path(path, "environment_variable"),
                      text::cat("\"", source.environment_variable(), "\" is not set"));
      } else {
        result.bytes = value;
      }
      break;
    }
    default:
      context.error(path, "expected filename, inline_bytes, inline_string or environment_variable");
  }
  return result;
}

}  // namespace weft::config
