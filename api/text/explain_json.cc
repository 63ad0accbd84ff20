// By nlohmann's event interface, whose errors say what was expected, and of whose reader no more is asked than these.
// It does not tell positions by token, so the input iterator notes where each begins while it is being read. Compiled
// with exceptions, as that library expects; none leaves this file.

#include "api/text/explain_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "api/text/cat.h"

namespace weft::text {

namespace {

// Follows the characters as the lexer takes them.
struct Cursor {
  Position at{1, 1};
  Position token{1, 1};
  bool in_string = false;
  bool in_word = false;
  bool escaped = false;

  void take(char c) {
    note_token(c);
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++at.column;
    }
  }

 private:
  void note_token(char c) {
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
      return;
    }
    switch (c) {
      case '"':
        token = at;
        in_string = true;
        in_word = false;
        return;
      case '{':
      case '[':
        token = at;
        in_word = false;
        return;
      // The lexer takes one of these to see a number's end, before it reports the number.
      case ' ':
      case '\t':
      case '\r':
      case '\n':
      case ',':
      case ':':
      case '}':
      case ']':
        in_word = false;
        return;
      default:
        if (!in_word) token = at;
        in_word = true;
    }
  }
};

class TrackedInput {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedInput(const char* at, Cursor* cursor) : at_(at), cursor_(cursor) {}
  reference operator*() const { return *at_; }
  TrackedInput& operator++() {
    cursor_->take(*at_++);
    return *this;
  }
  TrackedInput operator++(int) {
    TrackedInput before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackedInput& other) const { return at_ == other.at_; }
  bool operator!=(const TrackedInput& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  Cursor* cursor_;
};

// Wants to know of nothing but mistakes.
class Listener {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  Listener(int max_depth, const Cursor* cursor) : max_depth_(max_depth), cursor_(cursor) {}

  const std::optional<SyntaxError>& error() const { return error_; }

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(number_integer_t) { return true; }
  bool number_unsigned(number_unsigned_t) { return true; }
  bool number_float(number_float_t, const string_t&) { return true; }
  bool string(string_t&) { return true; }
  bool binary(binary_t&) { return false; }
  bool key(string_t&) { return true; }
  bool start_object(size_t) { return open(); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(); }
  bool end_array() { return close(); }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what we want"
    std::string_view what = exception.what();
    const size_t place = what.find(", column ");
    const size_t colon = place == std::string_view::npos ? what.find("] ") : what.find(": ", place);
    if (colon != std::string_view::npos) what.remove_prefix(colon + 2);
    error_ = {cursor_->token, std::string(what)};
    return false;
  }

 private:
  bool open() {
    if (depth_ >= max_depth_) {
      error_ = {cursor_->token, cat("more than ", max_depth_, " objects and arrays within each other")};
      return false;
    }
    ++depth_;
    return true;
  }

  bool close() {
    --depth_;
    return true;
  }

  const int max_depth_;
  const Cursor* const cursor_;
  int depth_ = 0;
  std::optional<SyntaxError> error_;
};

}  // namespace

std::optional<SyntaxError> explain_json(std::string_view text, int max_depth) {
  Cursor cursor;
  Listener listener(max_depth, &cursor);
  const TrackedInput begin(text.data(), &cursor);
  const TrackedInput end(text.data() + text.size(), &cursor);
  try {
    static_cast<void>(nlohmann::json::sax_parse(begin, end, &listener));
  } catch (const std::exception& exception) {
    return SyntaxError{cursor.at, exception.what()};
  }
  return listener.error();
}

}  // namespace weft::text
