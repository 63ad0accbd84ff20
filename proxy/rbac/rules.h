#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/rbac/condition.h"

// Policies and what follows from a match (Envoy's RBAC): ALLOW lets pass what a policy matches, DENY what none does,
// LOG everything. The first policy by name that matches decides. Built by config/compile, immutable after that, shared
// by all workers. So that a hundred policies cost little more than one, those that can hold only for certain principals
// or paths are looked up by them, and only the others are asked one by one.

namespace weft::rbac {

enum class Action : uint8_t { kAllow, kDeny, kLog };

struct Policy {
  std::string name;
  ConditionPtr permission;
  ConditionPtr principal;
};

struct Outcome {
  bool allowed = true;
  const std::string* policy = nullptr;  // The name of the one that matched.
  std::string_view detail;              // What a refusal is told as in logs; lives as long as the rules.
};

class Rules {
 public:
  // Names are unique.
  Rules(Action action, std::vector<Policy> policies);

  Action action() const { return action_; }
  size_t size() const { return policies_.size(); }
  Outcome judge(const Facts& facts) const;

 private:
  using Bucket = std::vector<uint32_t>;  // In the order of the policies.
  using Index = absl::flat_hash_map<std::string, Bucket>;

  void build_index();
  bool matches(uint32_t policy, const Facts& facts) const;
  // The first of the bucket that matches, if it comes before `best`; else `best`.
  uint32_t first_match(const Bucket& bucket, uint32_t best, const Facts& facts) const;
  uint32_t first_match(const Facts& facts) const;

  Action action_;
  std::vector<Policy> policies_;
  std::vector<std::string> details_;  // Of a refusal by each policy.
  Index by_principal_;
  Index by_path_;
  Bucket rest_;
};

}  // namespace weft::rbac
