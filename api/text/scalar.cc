#include "api/text/scalar.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "api/text/cat.h"
#include "api/text/nearest.h"

namespace weft::text {

namespace {

bool all_digits(std::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return !text.empty();
}

// YAML 1.1 writes each of these in lower case, in upper case or capitalised.
std::optional<bool> yaml_bool(std::string_view text) {
  constexpr size_t kLongest = 5;
  if (text.size() > kLongest) return std::nullopt;
  const std::string lower = absl::AsciiStrToLower(to_absl(text));
  const bool has_lower_tail = text.size() > 1 && text.substr(1) == lower.substr(1);
  const bool cased = text == lower || text == absl::AsciiStrToUpper(to_absl(text)) || has_lower_tail;
  if (!cased) return std::nullopt;
  if (lower == "true" || lower == "yes" || lower == "on" || lower == "y") return true;
  if (lower == "false" || lower == "no" || lower == "off" || lower == "n") return false;
  return std::nullopt;
}

// A decimal number by JSON's grammar, but with leading zeros, a leading '+' or a bare point left to the caller's care.
bool is_decimal(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  size_t i = 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[i]))) ++i;
    return i > start;
  };
  if (!digits()) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == text.size();
}

struct Integer {
  bool negative = false;
  uint64_t magnitude = 0;
};

// In YAML without quotes, 0x1F is hexadecimal and 017 octal, as Envoy's loader has it.
std::optional<Integer> integer(const Node& node) {
  std::string_view text = node.scalar();
  Integer out;
  if (!text.empty() && text[0] == '-') {
    out.negative = true;
    text.remove_prefix(1);
  }
  const bool prefixed = node.style == Node::Style::kPlain && text.size() > 1 && text[0] == '0';
  if (prefixed && (text[1] == 'x' || text[1] == 'X')) {
    if (text.size() == 2 || !absl::SimpleHexAtoi(to_absl(text.substr(2)), &out.magnitude)) return std::nullopt;
    return out;
  }
  if (prefixed && all_digits(text)) {
    for (const char c : text) {
      if (c > '7' || out.magnitude >> 61 != 0) return std::nullopt;
      out.magnitude = out.magnitude * 8 + static_cast<uint64_t>(c - '0');
    }
    return out;
  }
  if (all_digits(text)) {
    if (!absl::SimpleAtoi(to_absl(text), &out.magnitude)) return std::nullopt;
    return out;
  }
  // 1e3 and 100.0 are whole too. Beyond 2^53 a double no longer tells.
  double value = 0;
  if (!is_decimal(text) || !absl::SimpleAtod(to_absl(text), &value)) return std::nullopt;
  if (value != std::floor(value) || value > 9007199254740992.0) return std::nullopt;
  out.magnitude = static_cast<uint64_t>(value);
  return out;
}

}  // namespace

PlainType plain_type(const Node& node) {
  if (node.kind == Node::Kind::kNull) return PlainType::kNull;
  if (node.style == Node::Style::kQuoted) return PlainType::kString;
  if (node.style == Node::Style::kPlainJson) {
    return node.scalar() == "true" || node.scalar() == "false" ? PlainType::kBool : PlainType::kNumber;
  }
  if (yaml_bool(node.scalar()).has_value()) return PlainType::kBool;
  return is_decimal(node.scalar()) || integer(node).has_value() ? PlainType::kNumber : PlainType::kString;
}

std::string read_bool(const Node& node, bool* out) {
  const auto value = node.kind == Node::Kind::kScalar ? yaml_bool(node.scalar()) : std::nullopt;
  if (!value.has_value()) return "true or false";
  *out = *value;
  return "";
}

std::string read_int(const Node& node, int64_t min, int64_t max, int64_t* out) {
  const auto value = node.kind == Node::Kind::kScalar ? integer(node) : std::nullopt;
  const uint64_t limit = value.has_value() && value->negative ? uint64_t{0} - static_cast<uint64_t>(min) : max;
  if (!value.has_value() || value->magnitude > limit) return cat("a whole number from ", min, " to ", max);
  *out = static_cast<int64_t>(value->negative ? uint64_t{0} - value->magnitude : value->magnitude);
  return "";
}

std::string read_uint(const Node& node, uint64_t max, uint64_t* out) {
  const auto value = node.kind == Node::Kind::kScalar ? integer(node) : std::nullopt;
  const bool fits = value.has_value() && value->magnitude <= max && (!value->negative || value->magnitude == 0);
  if (!fits) return cat("a whole number from 0 to ", max);
  *out = value->magnitude;
  return "";
}

std::string read_double(const Node& node, bool single_precision, double* out) {
  constexpr std::string_view kExpected = "a number";
  if (node.kind != Node::Kind::kScalar) return std::string(kExpected);
  const std::string_view text = node.scalar();
  if (node.style != Node::Style::kPlainJson) {
    const bool yaml = node.style == Node::Style::kPlain;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (text == "NaN" || (yaml && text == ".nan")) return *out = std::nan(""), "";
    if (text == "Infinity" || (yaml && text == ".inf")) return *out = kInfinity, "";
    if (text == "-Infinity" || (yaml && text == "-.inf")) return *out = -kInfinity, "";
  }
  const auto whole = integer(node);
  double value = 0;
  if (whole.has_value()) {
    value = static_cast<double>(whole->magnitude);
    if (whole->negative) value = -value;
  } else if (!is_decimal(text) || !absl::SimpleAtod(to_absl(text), &value)) {
    return std::string(kExpected);
  }
  const double limit = single_precision ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  if (std::abs(value) > limit) return cat("a number up to ", limit);
  *out = value;
  return "";
}

std::string read_string(const Node& node, std::string_view* out) {
  if (node.kind != Node::Kind::kScalar) return "a string";
  if (node.style == Node::Style::kPlainJson) return "a string, in quotes";
  const std::string_view text = node.scalar();
  if (node.style == Node::Style::kPlain) {
    // Envoy's loader takes a number with a fraction or exponent for a string, so files rely on it.
    const bool is_number = integer(node).has_value() && text.find_first_of(".eE") == std::string_view::npos;
    if (is_number || yaml_bool(text).has_value()) {
      return cat("a string; write \"", text, "\" in quotes if that is what is meant");
    }
  }
  *out = text;
  return "";
}

std::string read_bytes(const Node& node, std::string* out) {
  constexpr std::string_view kExpected = "bytes in base64";
  if (node.kind != Node::Kind::kScalar || node.style == Node::Style::kPlainJson) return std::string(kExpected);
  const bool decoded =
      absl::Base64Unescape(to_absl(node.scalar()), out) || absl::WebSafeBase64Unescape(to_absl(node.scalar()), out);
  return decoded ? "" : std::string(kExpected);
}

std::string read_enum(const Node& node, const google::protobuf::EnumDescriptor& type, int* out) {
  if (node.kind == Node::Kind::kScalar) {
    for (int i = 0; i < type.value_count(); ++i) {
      if (absl::EqualsIgnoreCase(type.value(i)->name(), to_absl(node.scalar()))) {
        *out = type.value(i)->number();
        return "";
      }
    }
    int64_t number = 0;
    constexpr int64_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();
    if (read_int(node, kMin, kMax, &number).empty() && type.FindValueByNumber(static_cast<int>(number)) != nullptr) {
      *out = static_cast<int>(number);
      return "";
    }
  }
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  std::string expected = cat("a value of ", type.full_name(), ", one of ", absl::StrJoin(names, ", "));
  const std::string nearest = node.kind == Node::Kind::kScalar ? nearest_name(node.scalar(), names) : "";
  if (!nearest.empty()) append(&expected, " (did you mean ", nearest, "?)");
  return expected;
}

std::string read_duration(const Node& node, google::protobuf::Duration* out) {
  constexpr std::string_view kExpected = "a duration in seconds that ends in s, such as \"5s\" or \"0.25s\"";
  // Ten thousand years, by google.protobuf.Duration.
  constexpr int64_t kMaxSeconds = 315'576'000'000;
  if (node.kind != Node::Kind::kScalar) return std::string(kExpected);
  std::string_view text = node.scalar();
  if (text.empty() || text.back() != 's') return std::string(kExpected);
  text.remove_suffix(1);
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string_view fraction = point == std::string_view::npos ? "0" : text.substr(point + 1);
  int64_t seconds = 0;
  if (!all_digits(whole) || !absl::SimpleAtoi(to_absl(whole), &seconds) || seconds > kMaxSeconds)
    return std::string(kExpected);
  if (!all_digits(fraction) || fraction.size() > 9) return std::string(kExpected);
  int32_t nanos = 0;
  for (size_t i = 0; i < 9; ++i) nanos = nanos * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  out->set_seconds(negative ? -seconds : seconds);
  out->set_nanos(negative ? -nanos : nanos);
  return "";
}

std::string read_timestamp(const Node& node, google::protobuf::Timestamp* out) {
  const bool text = node.kind == Node::Kind::kScalar && node.style != Node::Style::kPlainJson;
  if (text && google::protobuf::util::TimeUtil::FromString(std::string(node.scalar()), out)) return "";
  return "a time by RFC 3339, such as \"2030-01-31T12:00:00Z\"";
}

}  // namespace weft::text
