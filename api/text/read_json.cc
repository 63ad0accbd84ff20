// JSON (RFC 8259) by RapidJSON's events, in a copy of the text within the document: what a string says is written where
// the string stands, so that nodes point there and nothing is copied once more. What RapidJSON refuses is read again by
// who explains it better.

// Its SIMD is left off: it takes some control characters within strings for letters.
#include <rapidjson/reader.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "absl/strings/numbers.h"
#include "api/text/assembler.h"
#include "api/text/cat.h"
#include "api/text/document.h"
#include "api/text/explain_json.h"
#include "api/text/places.h"
#include "api/text/utf8.h"

namespace weft::text {

namespace {

using rapidjson::InsituStringStream;
using rapidjson::SizeType;

// Shorter numbers without an exponent are finite.
constexpr size_t kFiniteDigits = 300;

bool is_finite(std::string_view number) {
  if (number.size() <= kFiniteDigits && number.find_first_of("eE") == std::string_view::npos) return true;
  double value = 0;
  return absl::SimpleAtod(to_absl(number), &value) && std::isfinite(value);
}

// Each event is true, or ends the reading. Where a token stands is told by where its text does, and for what has none
// by how far the stream is.
class Handler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Handler> {
 public:
  // `original` is what `stream` is a copy of.
  Handler(std::string_view original, InsituStringStream* stream, int max_depth, int first_line, Document* document)
      : stream_(stream),
        begin_(stream->src_),
        max_depth_(max_depth),
        may_be_no_utf8_(original.find("\\u") != std::string_view::npos),
        places_(original, first_line),
        document_(document),
        assembler_(document) {}

  bool Null() { return add({Node::Kind::kNull, before(4)}); }
  bool Bool(bool value) {
    return value ? add({"true", Node::Style::kPlainJson, before(4)})
                 : add({"false", Node::Style::kPlainJson, before(5)});
  }

  bool RawNumber(const char* text, SizeType length, bool) {
    std::string_view number(text, length);
    if (!is_finite(number)) return false;
    // An integer has no negative zero.
    if (number == "-0") number = "0";
    return add({number, Node::Style::kPlainJson, at(text)});
  }

  bool String(const char* text, SizeType length, bool) {
    const std::string_view string(text, length);
    return is_utf8(string) && add({string, Node::Style::kQuoted, at(text - 1)});
  }

  bool Key(const char* text, SizeType length, bool) {
    const std::string_view key(text, length);
    if (!is_utf8(key)) return false;
    assembler_.key(key, at(text - 1), false);
    return true;
  }

  bool StartObject() { return open(Node::Kind::kMap); }
  bool EndObject(SizeType) { return close(); }
  bool StartArray() { return open(Node::Kind::kList); }
  bool EndArray(SizeType) { return close(); }

 private:
  Position at(const char* token) { return places_.at(static_cast<size_t>(token - begin_)); }
  // Of a token of `length` bytes that the stream has just taken.
  Position before(size_t length) { return places_.at(stream_->Tell() - length); }

  // The text is; but RapidJSON takes half of a surrogate pair for a character.
  bool is_utf8(std::string_view text) const { return !may_be_no_utf8_ || valid_utf8(text) == text.size(); }

  bool add(const Node& node) {
    assembler_.attach(document_->add(node));
    return true;
  }

  bool open(Node::Kind kind) {
    if (assembler_.depth() >= max_depth_) return false;
    Node* node = document_->add({kind, before(1)});
    assembler_.attach(node);
    assembler_.open(node);
    return true;
  }

  bool close() {
    assembler_.close();
    return true;
  }

  InsituStringStream* const stream_;
  const char* const begin_;
  const int max_depth_;
  const bool may_be_no_utf8_;
  Places places_;
  Document* const document_;
  Assembler assembler_;
};

// `understood` are the bytes up to the end or to a mistake.
bool read(std::string_view text, int max_depth, int first_line, Document* document, size_t* understood) {
  char* copy = document->room(text.size() + 1);
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  InsituStringStream stream(copy);
  Handler handler(text, &stream, max_depth, first_line, document);
  rapidjson::Reader reader;
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, handler);
  *understood = result.IsError() ? result.Offset() : stream.Tell();
  // For RapidJSON the text ends at a NUL.
  return !result.IsError() && *understood == text.size();
}

}  // namespace

bool read_json(std::string_view text, int max_depth, int first_line, Document* document, SyntaxError* error) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > std::numeric_limits<SizeType>::max()) {
    *error = {{}, cat("longer than ", std::numeric_limits<SizeType>::max(), " bytes")};
    return false;
  }
  size_t understood = 0;
  if (read(text, max_depth, first_line, document, &understood)) return true;
  if (std::optional<SyntaxError> explained = explain_json(text, max_depth); explained.has_value()) {
    *error = *std::move(explained);
    error->position.line += first_line - 1;
    return false;
  }
  const std::string_view rest = text.substr(understood);
  *error = {Places(text, first_line).at(understood),
            rest.starts_with('\0') ? "a NUL character" : "a number with an exponent that is too large"};
  return false;
}

}  // namespace weft::text
