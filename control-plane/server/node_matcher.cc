#include "control-plane/server/node_matcher.h"

#include <google/protobuf/struct.pb.h>
#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "envoy/type/matcher/v3/string.pb.h"
#include "envoy/type/matcher/v3/value.pb.h"

namespace weft::control::server {

namespace {

namespace matcher_v3 = envoy::type::matcher::v3;
using google::protobuf::Value;
using TextMatcher = std::function<bool(const std::string& text)>;
// Null where there is no such value.
using ValueMatcher = std::function<bool(const Value* value)>;

constexpr int kMaxDepth = 16;

absl::StatusOr<TextMatcher> make_text_matcher(const matcher_v3::StringMatcher& matcher) {
  const bool fold = matcher.ignore_case();
  const auto folded = [fold](const std::string& text) { return fold ? absl::AsciiStrToLower(text) : text; };
  switch (matcher.match_pattern_case()) {
    case matcher_v3::StringMatcher::kExact:
      return [=, wanted = folded(matcher.exact())](const std::string& text) { return folded(text) == wanted; };
    case matcher_v3::StringMatcher::kPrefix:
      return [=, wanted = folded(matcher.prefix())](const std::string& text) {
        return absl::StartsWith(folded(text), wanted);
      };
    case matcher_v3::StringMatcher::kSuffix:
      return [=, wanted = folded(matcher.suffix())](const std::string& text) {
        return absl::EndsWith(folded(text), wanted);
      };
    case matcher_v3::StringMatcher::kContains:
      return [=, wanted = folded(matcher.contains())](const std::string& text) {
        return absl::StrContains(folded(text), wanted);
      };
    case matcher_v3::StringMatcher::kSafeRegex: {
      const auto regex = std::make_shared<re2::RE2>(matcher.safe_regex().regex(), re2::RE2::Quiet);
      if (!regex->ok()) {
        return absl::InvalidArgumentError(absl::StrCat("safe_regex: \"", matcher.safe_regex().regex(),
                                                       "\" is no regular expression: ", regex->error()));
      }
      return [regex](const std::string& text) { return re2::RE2::FullMatch(text, *regex); };
    }
    default:
      return absl::InvalidArgumentError(
          "a string matcher without a pattern that is supported, expected exact, prefix, suffix, contains or "
          "safe_regex");
  }
}

absl::StatusOr<ValueMatcher> make_value_matcher(const matcher_v3::ValueMatcher& matcher, int depth);

absl::StatusOr<ValueMatcher> make_any_of(const google::protobuf::RepeatedPtrField<matcher_v3::ValueMatcher>& matchers,
                                         int depth) {
  std::vector<ValueMatcher> made;
  for (const auto& each : matchers) {
    absl::StatusOr<ValueMatcher> one = make_value_matcher(each, depth);
    if (!one.ok()) return one.status();
    made.push_back(*std::move(one));
  }
  return [made](const Value* value) {
    return std::any_of(made.begin(), made.end(), [value](const ValueMatcher& each) { return each(value); });
  };
}

absl::StatusOr<ValueMatcher> make_number_matcher(const matcher_v3::DoubleMatcher& matcher) {
  const auto number = [matcher](const Value* value) {
    if (value == nullptr || !value->has_number_value()) return false;
    const double is = value->number_value();
    return matcher.has_range() ? matcher.range().start() <= is && is < matcher.range().end() : is == matcher.exact();
  };
  return number;
}

absl::StatusOr<ValueMatcher> make_value_matcher(const matcher_v3::ValueMatcher& matcher, int depth) {
  if (depth > kMaxDepth) return absl::InvalidArgumentError("value matchers within each other are too deep");
  switch (matcher.match_pattern_case()) {
    case matcher_v3::ValueMatcher::kNullMatch:
      return [](const Value* value) { return value != nullptr && value->has_null_value(); };
    case matcher_v3::ValueMatcher::kDoubleMatch:
      return make_number_matcher(matcher.double_match());
    case matcher_v3::ValueMatcher::kStringMatch: {
      absl::StatusOr<TextMatcher> text = make_text_matcher(matcher.string_match());
      if (!text.ok()) return text.status();
      return [text = *std::move(text)](const Value* value) {
        return value != nullptr && value->has_string_value() && text(value->string_value());
      };
    }
    case matcher_v3::ValueMatcher::kBoolMatch:
      return [wanted = matcher.bool_match()](const Value* value) {
        return value != nullptr && value->has_bool_value() && value->bool_value() == wanted;
      };
    case matcher_v3::ValueMatcher::kPresentMatch:
      return [wanted = matcher.present_match()](const Value* value) { return (value != nullptr) == wanted; };
    case matcher_v3::ValueMatcher::kListMatch: {
      absl::StatusOr<ValueMatcher> one = make_value_matcher(matcher.list_match().one_of(), depth + 1);
      if (!one.ok()) return one.status();
      return [one = *std::move(one)](const Value* value) {
        if (value == nullptr || !value->has_list_value()) return false;
        const auto& values = value->list_value().values();
        return std::any_of(values.begin(), values.end(), [&one](const Value& each) { return one(&each); });
      };
    }
    case matcher_v3::ValueMatcher::kOrMatch:
      return make_any_of(matcher.or_match().value_matchers(), depth + 1);
    default:
      return absl::InvalidArgumentError("a value matcher without a pattern");
  }
}

const Value* find(const google::protobuf::Struct& metadata, const std::vector<std::string>& path) {
  const google::protobuf::Struct* at = &metadata;
  const Value* value = nullptr;
  for (const std::string& key : path) {
    if (at == nullptr) return nullptr;
    const auto found = at->fields().find(key);
    if (found == at->fields().end()) return nullptr;
    value = &found->second;
    at = value->has_struct_value() ? &value->struct_value() : nullptr;
  }
  return value;
}

}  // namespace

absl::StatusOr<NodeMatcher> make_node_matcher(const matcher_v3::NodeMatcher& matcher) {
  TextMatcher id = [](const std::string&) { return true; };
  if (matcher.has_node_id()) {
    absl::StatusOr<TextMatcher> made = make_text_matcher(matcher.node_id());
    if (!made.ok()) return made.status();
    id = *std::move(made);
  }
  std::vector<std::pair<std::vector<std::string>, ValueMatcher>> metadata;
  for (const auto& each : matcher.node_metadatas()) {
    absl::StatusOr<ValueMatcher> value = make_value_matcher(each.value(), 0);
    if (!value.ok()) return value.status();
    std::vector<std::string> path;
    for (const auto& segment : each.path()) path.push_back(segment.key());
    if (path.empty()) return absl::InvalidArgumentError("node_metadatas: expected a path of at least one key");
    metadata.emplace_back(std::move(path), *std::move(value));
  }
  return [id, metadata](const envoy::config::core::v3::Node& node) {
    if (!id(node.id())) return false;
    return std::all_of(metadata.begin(), metadata.end(),
                       [&node](const auto& each) { return each.second(find(node.metadata(), each.first)); });
  };
}

}  // namespace weft::control::server
