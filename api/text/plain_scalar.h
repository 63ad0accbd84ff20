#pragma once

// What a YAML scalar without quotes means to Kubernetes, whose reader goes by YAML 1.1. Pure; any thread.

#include <cstdint>
#include <string>
#include <variant>

namespace weft::text {

// A string of which no such scalar can be made, for there is no such JSON, is what was expected instead.
struct NoJson {
  std::string expected;
};
using PlainValue = std::variant<std::string, bool, int64_t, uint64_t, double, NoJson>;

// yes and on are booleans, 0644 and 0o644 are octal, 1_000 is a number; a date is a string.
PlainValue plain_value(const std::string& text);

}  // namespace weft::text
