// JSON (RFC 8259) by nlohmann's event interface. It does not tell positions, so the input iterator notes where each
// token begins while it is being read. Compiled with exceptions, as that library expects; none leaves this file.

#include <nlohmann/json.hpp>

#include "api/text/cat.h"
#include "api/text/document.h"

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

class TreeBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  TreeBuilder(Document* document, int max_depth, const Cursor* cursor, SyntaxError* error)
      : document_(document), max_depth_(max_depth), cursor_(cursor), error_(error) {}

  bool null() { return add(Node::Kind::kNull) != nullptr; }
  bool boolean(bool value) { return scalar(value ? "true" : "false", Node::Style::kPlainJson); }
  bool number_integer(number_integer_t value) { return scalar(cat(value), Node::Style::kPlainJson); }
  bool number_unsigned(number_unsigned_t value) { return scalar(cat(value), Node::Style::kPlainJson); }
  bool number_float(number_float_t, const string_t& text) { return scalar(text, Node::Style::kPlainJson); }
  bool string(string_t& value) { return scalar(std::move(value), Node::Style::kQuoted); }
  bool binary(binary_t&) { return false; }
  bool start_object(size_t) { return open(Node::Kind::kMap); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(Node::Kind::kList); }
  bool end_array() { return close(); }

  bool key(string_t& key) {
    Node::Member member;
    member.key = std::move(key);
    member.position = cursor_->token;
    open_.back()->members.push_back(std::move(member));
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what we want"
    std::string_view what = exception.what();
    const size_t place = what.find(", column ");
    const size_t colon = place == std::string_view::npos ? what.find("] ") : what.find(": ", place);
    if (colon != std::string_view::npos) what.remove_prefix(colon + 2);
    *error_ = {cursor_->token, std::string(what)};
    return false;
  }

 private:
  Node* add(Node::Kind kind) {
    document_->nodes.push_back({});
    Node* node = &document_->nodes.back();
    node->kind = kind;
    node->position = cursor_->token;
    if (open_.empty()) {
      document_->root = node;
    } else if (open_.back()->kind == Node::Kind::kList) {
      open_.back()->items.push_back(node);
    } else {
      open_.back()->members.back().value = node;
    }
    return node;
  }

  bool scalar(std::string text, Node::Style style) {
    Node* node = add(Node::Kind::kScalar);
    node->scalar = std::move(text);
    node->style = style;
    return true;
  }

  bool open(Node::Kind kind) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      *error_ = {cursor_->token, cat("more than ", max_depth_, " objects and arrays within each other")};
      return false;
    }
    open_.push_back(add(kind));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  Document* const document_;
  const int max_depth_;
  const Cursor* const cursor_;
  SyntaxError* const error_;
  std::vector<Node*> open_;
};

}  // namespace

bool read_json(std::string_view text, int max_depth, Document* document, SyntaxError* error) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  Cursor cursor;
  TreeBuilder builder(document, max_depth, &cursor, error);
  const TrackedInput begin(text.data(), &cursor);
  const TrackedInput end(text.data() + text.size(), &cursor);
  try {
    return nlohmann::json::sax_parse(begin, end, &builder);
  } catch (const std::exception& exception) {
    *error = {cursor.at, exception.what()};
    return false;
  }
}

}  // namespace weft::text
