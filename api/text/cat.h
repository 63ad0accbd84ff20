#pragma once

// Concatenation that also takes std::string_view: the distribution builds abseil with a string_view type of its own,
// which does not convert from the standard one.

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace weft::text {

inline absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }

namespace internal {

template <typename T>
decltype(auto) cat_arg(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return to_absl(value);
  } else {
    return (value);
  }
}

}  // namespace internal

template <typename... Args>
std::string cat(const Args&... args) {
  return absl::StrCat(internal::cat_arg(args)...);
}

template <typename... Args>
void append(std::string* out, const Args&... args) {
  absl::StrAppend(out, internal::cat_arg(args)...);
}

}  // namespace weft::text
