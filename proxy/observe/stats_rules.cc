#include "proxy/observe/stats_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "re2/re2.h"

namespace weft::observe {
namespace {

bool any(const std::vector<StatsRules::Matcher>& matchers, std::string_view name) {
  return std::any_of(matchers.begin(), matchers.end(), [&](const auto& matches) { return matches(name); });
}

// Prometheus allows letters, digits and underscores.
std::string label_name(std::string_view name) {
  std::string result;
  for (char c : name) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    result += allowed ? c : '_';
  }
  if (!result.empty() && result[0] >= '0' && result[0] <= '9') result.insert(0, "_");
  return result;
}

}  // namespace

StatsRules::StatsRules() = default;
StatsRules::~StatsRules() = default;

absl::Status StatsRules::add_tag(std::string name, const std::string& regex) {
  auto compiled = std::make_unique<re2::RE2>(regex, re2::RE2::Quiet);
  if (!compiled->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the regular expression \"", regex, "\" is not valid: ", compiled->error()));
  }
  if (compiled->NumberOfCapturingGroups() < 1) {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression \"", regex, "\" has no group to take out"));
  }
  tags_.push_back({label_name(name), std::move(compiled), ""});
  return absl::OkStatus();
}

void StatsRules::add_fixed_tag(std::string name, std::string value) {
  tags_.push_back({label_name(name), nullptr, std::move(value)});
}

void StatsRules::show_only(std::vector<Matcher> matchers) {
  shown_ = std::move(matchers);
  only_shown_ = true;
}

void StatsRules::hide(std::vector<Matcher> matchers) { hidden_ = std::move(matchers); }

bool StatsRules::shown(std::string_view name) const {
  if (hide_all_ || any(hidden_, name)) return false;
  return !only_shown_ || any(shown_, name);
}

StatsRules::Tagged StatsRules::tags_of(std::string_view name) const {
  Tagged result;
  for (const Tag& tag : tags_) {
    if (tag.regex == nullptr) {
      result.labels.emplace_back(tag.label, tag.value);
      continue;
    }
    re2::StringPiece groups[3];
    int count = std::min(3, tag.regex->NumberOfCapturingGroups() + 1);
    re2::StringPiece text(name.data(), name.size());
    if (!tag.regex->Match(text, 0, name.size(), re2::RE2::UNANCHORED, groups, count)) continue;
    if (groups[1].data() == nullptr) continue;
    const re2::StringPiece& value = count > 2 && groups[2].data() != nullptr ? groups[2] : groups[1];
    size_t begin = static_cast<size_t>(groups[1].data() - name.data());
    result.labels.emplace_back(tag.label, std::string(value.data(), value.size()));
    result.removed.emplace_back(begin, begin + groups[1].size());
  }
  return result;
}

}  // namespace weft::observe
