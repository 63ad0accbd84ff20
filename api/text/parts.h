#pragma once

// The documents of a YAML text, each as text. Pure; any thread.

#include <string_view>
#include <vector>

namespace weft::text {

struct Part {
  // With the "---" before it, so that what stands behind that on its line is read too.
  std::string_view text;
  // Of `text` in the whole; 1 is the first.
  int first_line = 1;
};

// Parts of nothing but blank lines, comments and separators are there as well: together the parts are the whole text.
std::vector<Part> split_documents(std::string_view text);

// Whether only blank lines, comments and separators stand there.
bool says_nothing(std::string_view text);

}  // namespace weft::text
