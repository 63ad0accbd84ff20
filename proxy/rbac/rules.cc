#include "proxy/rbac/rules.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace weft::rbac {
namespace {

constexpr std::string_view kNoPolicyDetail = "rbac_access_denied_matched_policy[none]";

// As Envoy: a log's field has no spaces.
std::string detail_of(std::string name) {
  for (char& c : name) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) c = '_';
  }
  return absl::StrCat("rbac_access_denied_matched_policy[", name, "]");
}

}  // namespace

Rules::Rules(Action action, std::vector<Policy> policies) : action_(action), policies_(std::move(policies)) {
  std::sort(policies_.begin(), policies_.end(), [](const Policy& a, const Policy& b) { return a.name < b.name; });
  for (const Policy& policy : policies_) details_.push_back(detail_of(policy.name));
  build_index();
}

void Rules::build_index() {
  struct Keys {
    bool principal_only = false, path_only = false;
    std::vector<std::string_view> principals, paths;
  };
  std::vector<Keys> keys(policies_.size());
  std::map<std::string_view, size_t> by_principal, by_path;
  for (size_t i = 0; i < policies_.size(); ++i) {
    Keys& mine = keys[i];
    const Policy& policy = policies_[i];
    auto only_for = [&](Key key, std::vector<std::string_view>* values) {
      return policy.principal->only_for(key, values) || policy.permission->only_for(key, values);
    };
    mine.principal_only = only_for(Key::kPrincipal, &mine.principals);
    mine.path_only = only_for(Key::kPath, &mine.paths);
    for (std::string_view value : mine.principals) ++by_principal[value];
    for (std::string_view value : mine.paths) ++by_path[value];
  }
  // A policy goes where fewer others are beside it.
  auto crowd = [](const std::vector<std::string_view>& values, const std::map<std::string_view, size_t>& counts) {
    size_t most = 0;
    for (std::string_view value : values) most = std::max(most, counts.at(value));
    return most;
  };
  for (uint32_t i = 0; i < policies_.size(); ++i) {
    Keys& mine = keys[i];
    bool by_path_now =
        mine.path_only && (!mine.principal_only || crowd(mine.paths, by_path) < crowd(mine.principals, by_principal));
    if (!mine.principal_only && !mine.path_only) {
      rest_.push_back(i);
      continue;
    }
    Index& index = by_path_now ? by_path_ : by_principal_;
    for (std::string_view value : by_path_now ? mine.paths : mine.principals) {
      Bucket& bucket = index[std::string(value)];
      if (bucket.empty() || bucket.back() != i) bucket.push_back(i);
    }
  }
}

bool Rules::matches(uint32_t policy, const Facts& facts) const {
  return policies_[policy].principal->holds(facts) && policies_[policy].permission->holds(facts);
}

uint32_t Rules::first_match(const Bucket& bucket, uint32_t best, const Facts& facts) const {
  for (uint32_t policy : bucket) {
    if (policy >= best) return best;
    if (matches(policy, facts)) return policy;
  }
  return best;
}

uint32_t Rules::first_match(const Facts& facts) const {
  auto best = static_cast<uint32_t>(policies_.size());
  if (!by_principal_.empty()) {
    any_principal(facts.connection, [&](std::string_view name) {
      auto found = by_principal_.find(absl::string_view(name.data(), name.size()));
      if (found != by_principal_.end()) best = first_match(found->second, best, facts);
      return false;
    });
  }
  if (!by_path_.empty() && facts.request != nullptr) {
    std::string_view path = http::path_only(facts.request->path);
    auto found = by_path_.find(absl::string_view(path.data(), path.size()));
    if (found != by_path_.end()) best = first_match(found->second, best, facts);
  }
  return first_match(rest_, best, facts);
}

Outcome Rules::judge(const Facts& facts) const {
  uint32_t first = first_match(facts);
  bool matched = first < policies_.size();
  Outcome outcome;
  outcome.policy = matched ? &policies_[first].name : nullptr;
  outcome.allowed = action_ == Action::kLog || matched == (action_ == Action::kAllow);
  if (!outcome.allowed) outcome.detail = matched ? std::string_view(details_[first]) : kNoPolicyDetail;
  return outcome;
}

}  // namespace weft::rbac
