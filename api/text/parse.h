#pragma once

// YAML and JSON into protos, by the proto3 JSON mapping with the liberties that Envoy's own loader takes (enum names in
// any case, YAML's booleans, Duration also as {seconds, nanos}, a lone element for a list of one). Strict where a
// mistake could hide: unknown fields, duplicate keys, two members of a oneof and unknown enum numbers are errors. All
// functions are pure; they may be called on any thread.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/text/position.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft::text {

struct ParseOptions {
  enum class Format {
    kByName,  // .json is JSON, .yaml and .yml are YAML; else JSON if the text begins with '{'
    kYaml,
    kJson,
  };
  Format format = Format::kByName;

  // An Any whose "@type" is not among our protos is an error, or, with this, recorded in Source::unknown_types and
  // kept as an xds.type.v3.TypedStruct that holds the type URL and the content.
  bool keep_unknown_types = false;

  // Paths, of messages and of positions, in the names that JSON has (lowerCamelCase) instead of the protos'.
  bool json_names = false;
  // The line of the file on which `text` begins, where it is only a part.
  int first_line = 1;

  size_t max_input_bytes = 64 << 20;
  // Maps and lists within each other.
  int max_depth = 100;
  // Values visited, each alias counted as often as it is used.
  size_t max_values = 4'000'000;
  size_t max_errors = 20;
};

struct UnknownType {
  std::string type_url;
  std::string path;
  Position position;
};

// What a parsed message no longer tells.
struct Source {
  PositionMap positions;
  std::vector<UnknownType> unknown_types;
};

// Replaces the content of `out`. On failure `out` is empty, and the status is InvalidArgument with one line for each
// mistake, up to max_errors: "envoy.yaml:7:22: static_resources.clusters[2].connect_timeout: expected …, got …".
// `file_name` is only for messages and for the format; nothing is read from disk. `source` may be null; it is filled
// on failure too.
absl::Status parse(std::string_view text, std::string_view file_name, google::protobuf::Message* out,
                   const ParseOptions& options = {}, Source* source = nullptr);

struct Document;

// A text that says itself of what type it is: read once, looked into, and then parsed. A value; const access is safe on
// any thread.
class Untyped {
 public:
  // InvalidArgument, as from parse(), for what is no YAML or no JSON.
  static absl::StatusOr<Untyped> read(std::string_view text, std::string_view file_name, const ParseOptions& options);
  Untyped(Untyped&&) noexcept;
  Untyped& operator=(Untyped&&) noexcept;
  ~Untyped();

  // The scalar that the outermost map itself has for `key`, as it is written; empty if there is none.
  std::string_view scalar(std::string_view key) const;
  // Where it stands there; unknown if it does not.
  Position position(std::string_view key) const;
  // As the function of this name.
  absl::Status parse(google::protobuf::Message* out, Source* source = nullptr) const;

 private:
  Untyped(std::string_view file_name, const ParseOptions& options, std::unique_ptr<const Document> document);

  std::string file_name_;
  ParseOptions options_;
  std::unique_ptr<const Document> document_;
};

}  // namespace weft::text
