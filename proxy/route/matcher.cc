#include "proxy/route/matcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/http/header_map.h"
#include "re2/re2.h"

namespace weft::route {
namespace {

// A program of this size takes a few hundred kilobytes once compiled; more is refused rather than run.
constexpr int kMaxProgramSize = 100'000;

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

class Re2Regex final : public Regex {
 public:
  Re2Regex(std::string pattern, const re2::RE2::Options& options)
      : pattern_(std::move(pattern)), re_(pattern_, options) {}
  const re2::RE2& re() const { return re_; }
  bool matches(std::string_view text) const override { return re2::RE2::FullMatch(piece(text), re_); }
  std::string rewrite(std::string_view text, std::string_view substitution) const override {
    std::string result(text);
    re2::RE2::GlobalReplace(&result, re_, piece(substitution));
    return result;
  }
  const std::string& pattern() const override { return pattern_; }

 private:
  std::string pattern_;
  re2::RE2 re_;
};

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<Re2Regex>(std::string(pattern), options);
  if (!regex->re().ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the regular expression \"", regex->pattern(), "\" is not valid: ", regex->re().error()));
  }
  if (regex->re().ProgramSize() > kMaxProgramSize) {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression \"", regex->pattern(), "\" compiles to ",
                                                   regex->re().ProgramSize(), " instructions; at most ",
                                                   kMaxProgramSize, " are allowed"));
  }
  return std::shared_ptr<const Regex>(std::move(regex));
}

bool StringMatcher::matches(std::string_view text) const {
  switch (kind) {
    case Kind::kExact:
      return ignore_case ? http::equals_ignoring_case(text, value) : text == value;
    case Kind::kPrefix:
      if (text.size() < value.size()) return false;
      text = text.substr(0, value.size());
      return ignore_case ? http::equals_ignoring_case(text, value) : text == value;
    case Kind::kSuffix:
      if (text.size() < value.size()) return false;
      text = text.substr(text.size() - value.size());
      return ignore_case ? http::equals_ignoring_case(text, value) : text == value;
    case Kind::kContains:
      return ignore_case ? contains_ignoring_case(text, value) : text.find(value) != std::string_view::npos;
    case Kind::kRegex:
      return regex != nullptr && regex->matches(text);
  }
  return false;
}

std::string StringMatcher::to_string() const {
  static constexpr const char* kNames[] = {"exact", "prefix", "suffix", "contains", "regex"};
  const std::string& text = kind == Kind::kRegex && regex != nullptr ? regex->pattern() : value;
  return absl::StrCat(kNames[static_cast<int>(kind)], " \"", text, "\"", ignore_case ? " ignoring case" : "");
}

}  // namespace weft::route
