#include "api/text/parts.h"

#include <algorithm>

namespace weft::text {

namespace {

bool is_separator(std::string_view line) {
  return line == "---" || line.starts_with("--- ") || line.starts_with("---\t") || line == "---\r";
}

}  // namespace

bool says_nothing(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#' && !is_separator(line)) return false;
  }
  return true;
}

std::vector<Part> split_documents(std::string_view text) {
  std::vector<Part> parts;
  size_t begin = 0;
  int first_line = 1;
  int line_number = 1;
  for (size_t at = 0; at < text.size(); ++line_number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (at > begin && is_separator(text.substr(at, end - at))) {
      parts.push_back({text.substr(begin, at - begin), first_line});
      begin = at;
      first_line = line_number;
    }
    at = end + 1;
  }
  parts.push_back({text.substr(begin), first_line});
  return parts;
}

}  // namespace weft::text
