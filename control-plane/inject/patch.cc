#include "control-plane/inject/patch.h"

#include <algorithm>
#include <string>

#include "api/text/cat.h"

namespace weft::control::inject {

namespace {

using text::cat;
using text::Tree;

// RFC 6901: '~' and '/' within a name.
std::string pointer(const std::string& parent, const std::string& name) {
  std::string out = parent + "/";
  for (const char c : name) {
    if (c == '~' || c == '/') {
      out += c == '~' ? "~0" : "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string pointer(const std::string& parent, size_t index) { return cat(parent, "/", index); }

void add(const std::string& path, const Tree& value, Tree* patch) {
  patch->push_back({{"op", "add"}, {"path", path}, {"value", value}});
}

void remove(const std::string& path, Tree* patch) { patch->push_back({{"op", "remove"}, {"path", path}}); }

void compare(const Tree& before, const Tree& after, const std::string& path, Tree* patch);

void compare_objects(const Tree& before, const Tree& after, const std::string& path, Tree* patch) {
  for (const auto& [name, value] : before.items()) {
    const auto now = after.find(name);
    if (now == after.end()) {
      remove(pointer(path, name), patch);
    } else {
      compare(value, *now, pointer(path, name), patch);
    }
  }
  for (const auto& [name, value] : after.items()) {
    if (!before.contains(name)) add(pointer(path, name), value, patch);
  }
}

void compare_lists(const Tree& before, const Tree& after, const std::string& path, Tree* patch) {
  const size_t shorter = std::min(before.size(), after.size());
  size_t first = 0, last = 0;
  while (first < shorter && before[first] == after[first]) ++first;
  while (last < shorter - first && before[before.size() - 1 - last] == after[after.size() - 1 - last]) ++last;
  const size_t gone = before.size() - first - last, come = after.size() - first - last;
  if (gone == come) {
    for (size_t i = first; i < first + gone; ++i) compare(before[i], after[i], pointer(path, i), patch);
  } else if (gone == 0) {
    for (size_t i = first; i < first + come; ++i) add(pointer(path, i), after[i], patch);
  } else if (come == 0) {
    for (size_t i = 0; i < gone; ++i) remove(pointer(path, first), patch);
  } else {
    patch->push_back({{"op", "replace"}, {"path", path}, {"value", after}});
  }
}

void compare(const Tree& before, const Tree& after, const std::string& path, Tree* patch) {
  if (before == after) return;
  if (before.is_object() && after.is_object()) return compare_objects(before, after, path, patch);
  if (before.is_array() && after.is_array()) return compare_lists(before, after, path, patch);
  patch->push_back({{"op", "replace"}, {"path", path}, {"value", after}});
}

}  // namespace

Tree make_patch(const Tree& before, const Tree& after) {
  Tree patch = Tree::array();
  compare(before, after, "", &patch);
  return patch;
}

}  // namespace weft::control::inject
