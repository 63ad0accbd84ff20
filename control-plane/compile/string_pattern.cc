#include "control-plane/compile/string_pattern.h"

#include <string>

namespace weft::control::compile {

envoy::type::matcher::v3::StringMatcher string_pattern(std::string_view pattern, std::string_view before) {
  envoy::type::matcher::v3::StringMatcher out;
  if (pattern == "*") {
    out.mutable_safe_regex()->set_regex(".+");
  } else if (pattern.ends_with('*')) {
    pattern.remove_suffix(1);
    out.set_prefix(std::string(before).append(pattern));
  } else if (pattern.starts_with('*')) {
    pattern.remove_prefix(1);
    out.set_suffix(std::string(pattern));
  } else {
    out.set_exact(std::string(before).append(pattern));
  }
  return out;
}

}  // namespace weft::control::compile
