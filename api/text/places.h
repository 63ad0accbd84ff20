#pragma once

// Where the bytes of a text stand, for a reader that knows how far it is and asks in the order of the text: so each
// byte is looked at once at most. Of one reader, on its thread.

#include <cstddef>
#include <string_view>

#include "api/text/position.h"

namespace weft::text {

class Places {
 public:
  // `text` outlives it.
  Places(std::string_view text, int first_line);

  // `offset` is not below that of the call before.
  Position at(size_t offset);

 private:
  void next_line();

  const std::string_view text_;
  const bool is_ascii_;
  int line_;
  size_t line_begin_ = 0;
  // Of the line feed; npos in the last line.
  size_t line_end_;
  // What of the line is no first byte of a character, up to `counted_`.
  size_t counted_ = 0;
  size_t continuations_ = 0;
};

}  // namespace weft::text
