#pragma once

// A YAML or JSON text as a tree that remembers positions: what stands between the two readers and parse(). A Document
// owns its nodes; aliases make them shared, never cyclic. Immutable once read.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "api/text/position.h"

namespace weft::text {

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  // kPlain: the text alone says whether it is a number, a boolean or a string. A JSON number or literal is kPlainJson.
  enum class Style { kPlain, kPlainJson, kQuoted };

  struct Member {
    std::string key;
    // A YAML merge, `<<`, written without quotes.
    bool merge = false;
    Position position;
    const Node* value = nullptr;
  };

  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  Position position;
  std::string scalar;
  std::vector<const Node*> items;
  std::vector<Member> members;
};

// "a map", "a list", "null", or the scalar in quotes, shortened: for messages.
std::string describe(const Node& node);

struct Document {
  std::deque<Node> nodes;
  const Node* root = nullptr;

  // Adds `lines` to every position.
  void move_down(int lines);
};

// What is wrong with a text as such, before anything is known of its meaning.
struct SyntaxError {
  Position position;
  std::string message;
};

// The first invalid UTF-8 sequence of `text`.
bool find_invalid_utf8(std::string_view text, Position* position);

// Each fills `document` or says where and why not. `max_depth` bounds lists and maps within each other.
bool read_yaml(std::string_view text, int max_depth, Document* document, SyntaxError* error);
bool read_json(std::string_view text, int max_depth, Document* document, SyntaxError* error);

}  // namespace weft::text
