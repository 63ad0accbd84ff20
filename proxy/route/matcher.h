#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

// String matchers as Envoy's type.matcher.v3: shared by routes, header matches, CORS origins and SAN checks. Pure.

namespace weft::route {

// An RE2 pattern that must match the whole text (Envoy's RegexMatcher).
class Regex {
 public:
  static absl::StatusOr<std::shared_ptr<const Regex>> compile(std::string_view pattern);
  virtual ~Regex() = default;
  virtual bool matches(std::string_view text) const = 0;
  // Replaces every match in the text; \1 names a group (Envoy's regex_rewrite).
  virtual std::string rewrite(std::string_view text, std::string_view substitution) const = 0;
  virtual const std::string& pattern() const = 0;
};

// What ClusterAction::regex_rewrite holds.
struct RegexRewrite {
  std::shared_ptr<const Regex> regex;
  std::string substitution;
};

struct StringMatcher {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kContains, kRegex } kind = Kind::kExact;
  std::string value;
  bool ignore_case = false;
  std::shared_ptr<const Regex> regex;

  bool matches(std::string_view text) const;
  std::string to_string() const;  // "prefix \"/api\"", for explaining
};

}  // namespace weft::route
