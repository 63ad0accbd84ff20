#pragma once

// YAML and JSON as plain values, in the order in which they were written, for those who change a part of an object
// and know nothing of the rest. What a scalar without quotes is goes by Kubernetes' own reader. Pure; any thread.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/text/position.h"

namespace weft::text {

using Tree = nlohmann::ordered_json;

struct TreeOptions {
  enum class Format { kYaml, kJson };
  Format format = Format::kYaml;
  // The line of the file on which the text begins.
  int first_line = 1;
  size_t max_input_bytes = 16 << 20;
  // Maps and lists within each other; whoever goes through a tree may do so by recursion.
  int max_depth = 64;
  // Each alias counted as often as it is used.
  size_t max_values = 1'000'000;
};

// One document; null for a text that says nothing. `positions`, unless it is null, is replaced by where each value
// stands. InvalidArgument: "cart.yaml:7:3: spec.x: …"; duplicate keys and numbers that JSON does not have are refused.
absl::StatusOr<Tree> read_tree(std::string_view text, std::string_view file_name, const TreeOptions& options,
                               PositionMap* positions);

// `path` extended by a member as read_tree() writes it: words as fields, all other keys in brackets.
std::string member_path(const std::string& path, const std::string& key);

// As YAML in blocks. Strings are quoted wherever a reader could take them for something else.
std::string print_tree_yaml(const Tree& tree);

}  // namespace weft::text
