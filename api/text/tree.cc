#include "api/text/tree.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "api/text/cat.h"
#include "api/text/document.h"
#include "api/text/plain_scalar.h"
#include "api/text/print_node.h"

namespace weft::text {

namespace {

// Makes values of nodes. After the first mistake it makes nothing more.
class TreeMaker {
 public:
  TreeMaker(std::string_view file_name, const TreeOptions& options, PositionMap* positions)
      : file_name_(file_name), options_(options), positions_(positions) {}

  const absl::Status& status() const { return status_; }

  Tree value(const Node& node, const std::string& path) {
    if (!enter(node.position, path)) return nullptr;
    Tree made = value_at_depth(node, path);
    --depth_;
    return made;
  }

  Tree fail(Position position, std::string_view path, std::string_view what) {
    if (!status_.ok()) return nullptr;
    std::string place(file_name_);
    if (position.known()) append(&place, ":", position.line, ":", position.column);
    status_ = absl::InvalidArgumentError(cat(place, ": ", path, path.empty() ? "" : ": ", what));
    return nullptr;
  }

 private:
  // The readers bound the depth as well, but each alias, and each merge, brings its own.
  bool enter(Position position, const std::string& path) {
    if (!status_.ok()) return false;
    if (++values_ > options_.max_values) {
      fail(position, path, cat("more than ", options_.max_values, " values, aliases counted"));
    } else if (++depth_ > options_.max_depth) {
      fail(position, path, cat("more than ", options_.max_depth, " maps and lists within each other"));
    }
    return status_.ok();
  }

  Tree value_at_depth(const Node& node, const std::string& path) {
    if (positions_ != nullptr) positions_->add(path, node.position);
    switch (node.kind) {
      case Node::Kind::kNull:
        return nullptr;
      case Node::Kind::kScalar:
        return scalar(node, path);
      case Node::Kind::kList:
        return list(node, path);
      case Node::Kind::kMap:
        break;
    }
    Tree out = Tree::object();
    std::unordered_map<std::string_view, Position> seen;
    members(node, path, false, seen, &out);
    return out;
  }

  Tree list(const Node& node, const std::string& path) {
    Tree out = Tree::array();
    for (size_t i = 0; i < node.items().size(); ++i) out.push_back(value(*node.items()[i], index_path(path, i)));
    return out;
  }

  // A merge gives what is not written beside it.
  void members(const Node& node, const std::string& path, bool is_merged,
               std::unordered_map<std::string_view, Position>& seen, Tree* out) {
    for (const Node::Member& member : node.members()) {
      if (member.merge) continue;
      const auto [first, is_new] = seen.try_emplace(member.key, member.position);
      if (!is_new && is_merged) continue;
      if (!is_new) {
        fail(member.position, path,
             cat("the key \"", member.key, "\" stands a second time; the first is in line ", first->second.line));
        return;
      }
      if (Position ignored; find_invalid_utf8(member.key, &ignored)) {
        fail(member.position, path, "a key that is no UTF-8");
        return;
      }
      const std::string key(member.key);
      const std::string at = member_path(path, key);
      // A field stands where its key does.
      if (positions_ != nullptr) positions_->add(at, member.position);
      Tree made = value(*member.value, at);
      if (!status_.ok()) return;
      out->push_back({key, std::move(made)});
    }
    for (const Node::Member& member : node.members()) {
      if (member.merge) merge(*member.value, path, member.position, seen, out);
    }
  }

  void merge(const Node& source, const std::string& path, Position position,
             std::unordered_map<std::string_view, Position>& seen, Tree* out) {
    if (!enter(position, path)) return;
    if (source.kind == Node::Kind::kMap) {
      members(source, path, true, seen, out);
    } else if (source.kind == Node::Kind::kList) {
      for (const Node* each : source.items()) merge(*each, path, position, seen, out);
    } else {
      fail(position, path, "expected << to be of a map or of a list of maps");
    }
    --depth_;
  }

  Tree scalar(const Node& node, const std::string& path) {
    if (Position at; find_invalid_utf8(node.scalar(), &at))
      return fail(node.position, path, "a string that is no UTF-8");
    if (node.style == Node::Style::kQuoted) return std::string(node.scalar());
    if (node.style == Node::Style::kPlainJson) {
      Tree parsed = Tree::parse(node.scalar(), nullptr, false);
      return parsed.is_discarded() ? fail(node.position, path, "no JSON number") : parsed;
    }
    return std::visit(
        [&](auto&& made) -> Tree {
          if constexpr (std::is_same_v<std::decay_t<decltype(made)>, NoJson>) {
            return fail(node.position, path, cat("expected ", made.expected));
          } else {
            return Tree(made);
          }
        },
        plain_value(std::string(node.scalar())));
  }

  const std::string_view file_name_;
  const TreeOptions& options_;
  PositionMap* const positions_;
  size_t values_ = 0;
  int depth_ = 0;
  absl::Status status_;
};

// The nodes that a printer goes through. They are of `document`, and their strings of `tree`.
const Node* to_node(const Tree& tree, Document* document) {
  if (tree.is_object()) {
    std::vector<Node::Member> members;
    for (const auto& [key, value] : tree.items()) members.push_back({key, to_node(value, document)});
    return document->add_map(members);
  }
  if (tree.is_array()) {
    std::vector<const Node*> items;
    for (const Tree& item : tree) items.push_back(to_node(item, document));
    return document->add_list(items);
  }
  if (tree.is_null()) return document->add({});
  if (tree.is_string()) return document->add({tree.get_ref<const std::string&>(), Node::Style::kQuoted, {}});
  return document->add({document->keep(tree.dump()), Node::Style::kPlainJson, {}});
}

}  // namespace

std::string member_path(const std::string& path, const std::string& key) {
  for (const char c : key) {
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!is_word) return key_path(path, key);
  }
  return key.empty() ? key_path(path, key) : field_path(path, key);
}

absl::StatusOr<Tree> read_tree(std::string_view text, std::string_view file_name, const TreeOptions& options,
                               PositionMap* positions) {
  if (positions != nullptr) *positions = PositionMap(std::string(file_name));
  TreeMaker maker(file_name, options, positions);
  if (text.size() > options.max_input_bytes) {
    maker.fail({}, "", cat("longer than ", options.max_input_bytes, " bytes"));
    return maker.status();
  }
  SyntaxError error;
  if (find_invalid_utf8(text, &error.position)) {
    error.position.line += options.first_line - 1;
    maker.fail(error.position, "", "the text is no UTF-8");
    return maker.status();
  }
  Document document(text.size());
  const bool is_read = options.format == TreeOptions::Format::kJson
                           ? read_json(text, options.max_depth, options.first_line, &document, &error)
                           : read_yaml(text, options.max_depth, options.first_line, &document, &error);
  if (!is_read) {
    maker.fail(error.position, "", error.message);
    return maker.status();
  }
  if (document.root == nullptr) return Tree(nullptr);
  Tree out = maker.value(*document.root, "");
  if (!maker.status().ok()) return maker.status();
  return out;
}

std::string print_tree_yaml(const Tree& tree) {
  Document document;
  std::string out;
  append_yaml(*to_node(tree, &document), 0, false, &out);
  return out;
}

}  // namespace weft::text
