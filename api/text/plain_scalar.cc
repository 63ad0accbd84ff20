#include "api/text/plain_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "api/text/cat.h"

namespace weft::text {

namespace {

constexpr std::array<std::string_view, 11> kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                                    "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                                     "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 12> kNoNumber = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                                        "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};

template <size_t size>
bool is_one_of(std::string_view text, const std::array<std::string_view, size>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits of a base that a prefix says: 0x, 0b, 0o, and a 0 before other digits for octal.
std::optional<uint64_t> magnitude(std::string_view digits) {
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    digits.remove_prefix(is_digit(digits[1]) ? 1 : 2);
    if (base == 8 && mark != 'o' && !is_digit(mark)) return std::nullopt;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<PlainValue> integer(std::string_view text) {
  const bool is_negative = text[0] == '-';
  if (is_negative || text[0] == '+') text.remove_prefix(1);
  if (text.empty() || !is_digit(text[0])) return std::nullopt;
  const std::optional<uint64_t> value = magnitude(text);
  if (!value.has_value()) return std::nullopt;
  constexpr uint64_t kLargest = INT64_MAX;
  if (!is_negative) return *value <= kLargest ? PlainValue(static_cast<int64_t>(*value)) : PlainValue(*value);
  if (*value > kLargest + 1) return std::nullopt;
  return static_cast<int64_t>(uint64_t{0} - *value);
}

// Digits with a point anywhere among them, and perhaps an exponent.
bool is_decimal(std::string_view text) {
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  size_t digits = 0, points = 0;
  while (!text.empty() && (is_digit(text[0]) || (text[0] == '.' && points == 0))) {
    (text[0] == '.' ? points : digits) += 1;
    text.remove_prefix(1);
  }
  if (digits == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace

PlainValue plain_value(const std::string& text) {
  if (is_one_of(text, kTrue)) return true;
  if (is_one_of(text, kFalse)) return false;
  if (is_one_of(text, kNoNumber)) return NoJson{cat("a number that JSON has; \"", text, "\" in quotes is a string")};
  const bool may_be_number = !text.empty() && (is_digit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.');
  if (!may_be_number) return text;
  std::string bare = text;
  bare.erase(std::remove(bare.begin(), bare.end(), '_'), bare.end());
  if (const std::optional<PlainValue> whole = bare.empty() ? std::nullopt : integer(bare); whole.has_value()) {
    return *whole;
  }
  double value = 0;
  if (bare.empty() || !is_decimal(bare) || !absl::SimpleAtod(bare, &value)) return text;
  if (value - value != 0) return NoJson{"a number that fits into 64 bits"};
  return value;
}

}  // namespace weft::text
