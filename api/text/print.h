#pragma once

// Protos as JSON or YAML by the proto3 JSON mapping. Output is the same for the same message: fields by number, map
// keys sorted. Pure; any thread.

#include <string>

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::text {

struct PrintOptions {
  // Proto field names (snake_case), as Envoy's config_dump writes them; else lowerCamelCase.
  bool proto_names = true;
  // JSON only: indented by one space, else on one line.
  bool indent = true;
  // Private keys, passwords, session ticket keys, generic secrets and the metadata of calls to control planes are
  // printed as "[redacted]".
  bool redact_secrets = false;
};

// An Any whose type is not among our protos, or whose bytes do not parse, is printed as {"@type": …, "value": base64}.
std::string print_json(const google::protobuf::Message& message, const PrintOptions& options = {});
std::string print_yaml(const google::protobuf::Message& message, const PrintOptions& options = {});

}  // namespace weft::text
