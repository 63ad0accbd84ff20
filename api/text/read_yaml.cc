// YAML by yaml-cpp's event interface: it tells positions and whether a scalar was quoted, and keeps no tree of its
// own. This file is compiled with exceptions, because yaml-cpp reports errors by them; none leaves it.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <streambuf>
#include <unordered_map>

#include "api/text/assembler.h"
#include "api/text/cat.h"
#include "api/text/document.h"

namespace weft::text {

namespace {

Position from_mark(const YAML::Mark& mark, int first_line) {
  return mark.is_null() ? Position{} : Position{mark.line + first_line, mark.column + 1};
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
  TreeBuilder(Document* document, int max_depth, int first_line)
      : document_(document), max_depth_(max_depth), first_line_(first_line), assembler_(document) {}

  bool failed() const { return failed_; }
  const SyntaxError& error() const { return error_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add({Node::Kind::kNull, at(mark)}, anchor); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return fail(at(mark), "this alias has no anchor");
    if (assembler_.is_open(found->second)) return fail(at(mark), "this alias stands within its own anchor");
    attach(found->second, at(mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (failed_) return;
    const bool is_string = tag == "!" || tag == "tag:yaml.org,2002:str";
    add({document_->keep(value), is_string ? Node::Style::kQuoted : Node::Style::kPlain, at(mark)}, anchor);
    if (!is_string && tag != "?" && !tag.empty() && tag != "tag:yaml.org,2002:int" &&
        tag != "tag:yaml.org,2002:float" && tag != "tag:yaml.org,2002:bool") {
      fail(at(mark), cat("the tag ", tag, " is not supported"));
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
  Position at(const YAML::Mark& mark) const { return from_mark(mark, first_line_); }

  void fail(Position position, std::string message) {
    if (failed_) return;
    failed_ = true;
    error_ = {position, std::move(message)};
  }

  Node* add(const Node& node, YAML::anchor_t anchor) {
    if (failed_) return nullptr;
    Node* added = document_->add(node);
    if (anchor != 0) anchors_[anchor] = added;
    attach(added, node.position);
    return added;
  }

  void attach(const Node* node, Position position) {
    if (failed_) return;
    if (!assembler_.wants_key()) return assembler_.attach(node);
    if (node->kind == Node::Kind::kNull) return assembler_.key("null", position, false);
    if (node->kind != Node::Kind::kScalar) return fail(position, "a map's key must be a single word or string");
    const bool merge = node->style == Node::Style::kPlain && node->scalar() == "<<";
    assembler_.key(node->scalar(), position, merge);
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    if (assembler_.depth() >= max_depth_) {
      return fail(at(mark), cat("more than ", max_depth_, " maps and lists within each other"));
    }
    Node* node = add({kind, at(mark)}, anchor);
    if (node == nullptr) return;
    if (tag != "?" && tag != "!" && !tag.empty() && tag != "tag:yaml.org,2002:map" && tag != "tag:yaml.org,2002:seq") {
      return fail(at(mark), cat("the tag ", tag, " is not supported"));
    }
    if (!failed_) assembler_.open(node);
  }

  void close() {
    if (!failed_) assembler_.close();
  }

  Document* const document_;
  const int max_depth_;
  const int first_line_;
  Assembler assembler_;
  bool failed_ = false;
  SyntaxError error_;
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
};

// Notices a second document without building it.
class SecondDocument : public YAML::EventHandler {
 public:
  explicit SecondDocument(int first_line) : first_line_(first_line) {}

  void OnDocumentStart(const YAML::Mark& mark) override { position = from_mark(mark, first_line_); }
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

 private:
  const int first_line_;
};

}  // namespace

bool read_yaml(std::string_view text, int max_depth, int first_line, Document* document, SyntaxError* error) {
  // yaml-cpp would read these as UTF-16 or UTF-32; our caller has checked for UTF-8, which they could still be.
  if (text.find('\0') != std::string_view::npos) {
    *error = {{}, "the text holds a NUL character"};
    return false;
  }
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  TreeBuilder builder(document, max_depth, first_line);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) && !builder.failed()) return true;
    if (!builder.failed()) {
      // A stray bracket makes yaml-cpp report an empty document at the same place for ever.
      SecondDocument second(first_line);
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
      *error = {from_mark(exception.mark, first_line), exception.msg};
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
