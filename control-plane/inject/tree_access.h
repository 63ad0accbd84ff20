#pragma once

// Looking into trees whose shape nobody has checked: what is not there, or is something else, is null. Pure.

#include <string>
#include <string_view>

#include "api/text/tree.h"

namespace weft::control::inject {

using text::Tree;

// Of an object; null too for a member that is null itself.
inline const Tree* member(const Tree& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

inline Tree* member(Tree& object, std::string_view key) {
  return const_cast<Tree*>(member(static_cast<const Tree&>(object), key));
}

// Empty if it is no string.
inline const std::string& string_member(const Tree& object, std::string_view key) {
  static const std::string kNone;
  const Tree* found = member(object, key);
  return found != nullptr && found->is_string() ? found->get_ref<const std::string&>() : kNone;
}

inline bool is_true(const Tree& object, std::string_view key) {
  const Tree* found = member(object, key);
  return found != nullptr && found->is_boolean() && found->get<bool>();
}

}  // namespace weft::control::inject
