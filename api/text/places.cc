#include "api/text/places.h"

#include "api/text/utf8.h"

namespace weft::text {

Places::Places(std::string_view text, int first_line)
    : text_(text), is_ascii_(ascii_prefix(text) == text.size()), line_(first_line), line_end_(text.find('\n')) {}

Position Places::at(size_t offset) {
  // npos is beyond all offsets.
  while (offset > line_end_) next_line();
  if (!is_ascii_) {
    for (; counted_ < offset; ++counted_) {
      continuations_ += (static_cast<unsigned char>(text_[counted_]) & 0xC0) == 0x80 ? 1 : 0;
    }
  }
  return {line_, static_cast<int>(offset - line_begin_ - continuations_) + 1};
}

void Places::next_line() {
  ++line_;
  line_begin_ = line_end_ + 1;
  line_end_ = text_.find('\n', line_begin_);
  counted_ = line_begin_;
  continuations_ = 0;
}

}  // namespace weft::text
