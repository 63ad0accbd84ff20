#include "api/text/print_node.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_format.h"
#include "api/text/scalar.h"

namespace weft::text {

namespace {

// The inside of a JSON string. Valid YAML within double quotes too.
void append_quoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          absl::StrAppendFormat(out, "\\u%04x", static_cast<unsigned char>(c));
        } else {
          out->push_back(c);
        }
    }
  }
  out->push_back('"');
}

void append_json_scalar(const Node& node, std::string* out) {
  if (node.kind == Node::Kind::kNull) {
    out->append("null");
  } else if (node.style == Node::Style::kPlainJson) {
    out->append(node.scalar());
  } else {
    append_quoted(node.scalar(), out);
  }
}

// Whether YAML reads the text as that same string without quotes. Only plain words; all else is quoted.
bool needs_no_quotes(std::string_view text) {
  constexpr size_t kMaxBare = 200;
  if (text.empty() || text.size() > kMaxBare || text == "null" || text == "Null" || text == "NULL") return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
    const bool inner = (c >= '0' && c <= '9') || c == '.' || c == '-';
    if (!letter && (i == 0 || !inner)) return false;
  }
  return plain_type({text, Node::Style::kPlain, {}}) == PlainType::kString;
}

void append_word(std::string_view text, std::string* out) {
  if (needs_no_quotes(text)) {
    out->append(text);
  } else {
    append_quoted(text, out);
  }
}

// Whether the lines can stand as they are, after "|": some characters end a line for one reader and not for another,
// and spaces at the beginning would count as indentation.
bool is_block_text(std::string_view text) {
  if (text.find('\n') == text.npos || text.front() == ' ' || text.front() == '\n' || text.ends_with("\n\n"))
    return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n') || c == 0x7F) return false;
    if (c >= 0x80 && (text.substr(i, 2) == "\xC2\x85" || text.substr(i, 3) == "\xE2\x80\xA8" ||
                      text.substr(i, 3) == "\xE2\x80\xA9" || text.substr(i, 3) == "\xEF\xBB\xBF")) {
      return false;
    }
  }
  // Of a last line of spaces alone, readers disagree whether it is one.
  const std::string_view last = text.substr(text.rfind('\n', text.size() - 2) + 1);
  return last.find_first_not_of(" \n") != last.npos;
}

// With its end of line.
void append_block_text(std::string_view text, int level, std::string* out) {
  out->append(text.ends_with('\n') ? "|\n" : "|-\n");
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.empty()) out->append(static_cast<size_t>(level) * 2, ' ').append(line);
    out->push_back('\n');
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
}

void append_yaml_leaf(const Node& node, int level, std::string* out) {
  const bool is_string = node.kind == Node::Kind::kScalar && node.style == Node::Style::kQuoted;
  if (is_string && level > 0 && is_block_text(node.scalar())) return append_block_text(node.scalar(), level, out);
  if (node.kind == Node::Kind::kMap) {
    out->append("{}");
  } else if (node.kind == Node::Kind::kList) {
    out->append("[]");
  } else if (is_string) {
    append_word(node.scalar(), out);
  } else {
    append_json_scalar(node, out);
  }
  out->push_back('\n');
}

}  // namespace

void append_json(const Node& node, bool indent, int level, std::string* out) {
  const bool map = node.kind == Node::Kind::kMap;
  if (!map && node.kind != Node::Kind::kList) return append_json_scalar(node, out);
  const size_t count = map ? node.members().size() : node.items().size();
  const auto newline = [&](int depth) {
    if (!indent || count == 0) return;
    out->push_back('\n');
    out->append(static_cast<size_t>(depth), ' ');
  };
  out->push_back(map ? '{' : '[');
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out->push_back(',');
    newline(level + 1);
    if (map) {
      append_quoted(node.members()[i].key, out);
      out->append(indent ? ": " : ":");
    }
    append_json(map ? *node.members()[i].value : *node.items()[i], indent, level + 1, out);
  }
  newline(level);
  out->push_back(map ? '}' : ']');
}

void append_yaml(const Node& node, int level, bool inline_first, std::string* out) {
  const auto start_line = [&](size_t i) {
    if (i > 0 || !inline_first) out->append(static_cast<size_t>(level) * 2, ' ');
  };
  const auto is_block = [](const Node& child) { return !child.members().empty() || !child.items().empty(); };
  if (!is_block(node)) return append_yaml_leaf(node, level, out);
  for (size_t i = 0; i < node.members().size(); ++i) {
    start_line(i);
    append_word(node.members()[i].key, out);
    out->push_back(':');
    const Node& child = *node.members()[i].value;
    out->append(is_block(child) ? "\n" : " ");
    append_yaml(child, level + 1, false, out);
  }
  for (size_t i = 0; i < node.items().size(); ++i) {
    start_line(i);
    out->append("- ");
    append_yaml(*node.items()[i], level + 1, true, out);
  }
}

}  // namespace weft::text
