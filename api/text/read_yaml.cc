// YAML by yaml-cpp's event interface: it tells positions and whether a scalar was quoted, and keeps no tree of its
// own. This file is compiled with exceptions, because yaml-cpp reports errors by them; none leaves it.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <streambuf>
#include <unordered_map>

#include "api/text/cat.h"
#include "api/text/document.h"

namespace weft::text {

namespace {

Position from_mark(const YAML::Mark& mark) {
  return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

// Builds the tree. After the first error it only lets the events pass by.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(Document* document, int max_depth) : document_(document), max_depth_(max_depth) {}

  bool failed() const { return failed_; }
  const SyntaxError& error() const { return error_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(mark, anchor, Node::Kind::kNull); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return fail(from_mark(mark), "this alias has no anchor");
    for (const Open& open : open_) {
      if (open.node == found->second) return fail(from_mark(mark), "this alias stands within its own anchor");
    }
    attach(found->second, from_mark(mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node* node = add(mark, anchor, Node::Kind::kScalar);
    if (node == nullptr) return;
    node->scalar = value;
    if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      node->style = Node::Style::kQuoted;
    } else if (tag != "?" && !tag.empty() && tag != "tag:yaml.org,2002:int" && tag != "tag:yaml.org,2002:float" &&
               tag != "tag:yaml.org,2002:bool") {
      fail(from_mark(mark), cat("the tag ", tag, " is not supported"));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node* node;
    // A map alternates between keys and values.
    bool has_key;
  };

  void fail(Position position, std::string message) {
    if (failed_) return;
    failed_ = true;
    error_ = {position, std::move(message)};
  }

  Node* add(const YAML::Mark& mark, YAML::anchor_t anchor, Node::Kind kind) {
    if (failed_) return nullptr;
    document_->nodes.push_back({});
    Node* node = &document_->nodes.back();
    node->kind = kind;
    node->position = from_mark(mark);
    if (anchor != 0) anchors_[anchor] = node;
    // A scalar's text is filled in by the caller before the next event, so a key is read in attach() of its value.
    attach(node, node->position);
    return node;
  }

  void attach(const Node* node, Position position) {
    if (failed_) return;
    if (open_.empty()) {
      document_->root = node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::kList) {
      parent.node->items.push_back(node);
      return;
    }
    if (!parent.has_key) {
      if (node->kind != Node::Kind::kScalar && node->kind != Node::Kind::kNull) {
        return fail(position, "a map's key must be a single word or string");
      }
      parent.node->members.push_back({});
      parent.node->members.back().position = position;
      parent.node->members.back().value = node;
      parent.has_key = true;
      return;
    }
    Node::Member& member = parent.node->members.back();
    const Node* key = member.value;
    member.key = key->kind == Node::Kind::kNull ? "null" : key->scalar;
    member.merge = key->style == Node::Style::kPlain && member.key == "<<";
    member.value = node;
    parent.has_key = false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      return fail(from_mark(mark), cat("more than ", max_depth_, " maps and lists within each other"));
    }
    Node* node = add(mark, anchor, kind);
    if (node == nullptr) return;
    if (tag != "?" && tag != "!" && !tag.empty() && tag != "tag:yaml.org,2002:map" && tag != "tag:yaml.org,2002:seq") {
      return fail(from_mark(mark), cat("the tag ", tag, " is not supported"));
    }
    open_.push_back({node, false});
  }

  void close() {
    if (!failed_) open_.pop_back();
  }

  Document* const document_;
  const int max_depth_;
  bool failed_ = false;
  SyntaxError error_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
};

// Notices a second document without building it.
class SecondDocument : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { position = from_mark(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { has_content = true; }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {
    has_content = true;
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    has_content = true;
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    has_content = true;
  }
  void OnMapEnd() override {}

  Position position;
  bool has_content = false;
};

}  // namespace

bool read_yaml(std::string_view text, int max_depth, Document* document, SyntaxError* error) {
  // yaml-cpp would read these as UTF-16 or UTF-32; our caller has checked for UTF-8, which they could still be.
  if (text.find('\0') != std::string_view::npos) {
    *error = {{}, "the text holds a NUL character"};
    return false;
  }
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  TreeBuilder builder(document, max_depth);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) && !builder.failed()) return true;
    if (!builder.failed()) {
      // A stray bracket makes yaml-cpp report an empty document at the same place for ever.
      SecondDocument second;
      Position before;
      while (parser.HandleNextDocument(second)) {
        const bool advanced = second.position.line > before.line || second.position.column > before.column;
        if (second.has_content || !advanced) {
          *error = {second.position, "a second document, or a stray bracket; expected one document in the file"};
          return false;
        }
        before = second.position;
      }
    }
  } catch (const YAML::Exception& exception) {
    if (!builder.failed()) {
      *error = {from_mark(exception.mark), exception.msg};
      return false;
    }
  } catch (const std::exception& exception) {
    *error = {{}, exception.what()};
    return false;
  }
  if (builder.failed()) *error = builder.error();
  return !builder.failed();
}

}  // namespace weft::text
