#include "proxy/config/compile/shared_parts.h"

#include "absl/hash/hash.h"

namespace weft::config {
namespace {

// Each is compared with one that is wanted. A mesh has a few; clusters of which each is its own kind share nothing.
constexpr size_t kMostPolicies = 16;

size_t hash_of(std::string_view prefix, std::type_index type) {
  return absl::HashOf(absl::string_view(prefix.data(), prefix.size()), type.hash_code());
}

std::type_index type_of(const observe::FamilyBase& family) { return typeid(family); }

}  // namespace

std::shared_ptr<observe::FamilyBase> SharedParts::known_family(std::string_view prefix, std::type_index type) const {
  return families_.find(hash_of(prefix, type), [&](const observe::FamilyBase& family) {
    return family.prefix() == prefix && type_of(family) == type;
  });
}

void SharedParts::keep_family(const std::shared_ptr<observe::FamilyBase>& family) {
  families_.insert(hash_of(family->prefix(), type_of(*family)), family);
}

std::shared_ptr<const cluster::ClusterPolicy> SharedParts::policy(const cluster::ClusterPolicy& wanted) {
  for (auto each = policies_.begin(); each != policies_.end(); ++each) {
    std::shared_ptr<const cluster::ClusterPolicy> known = each->lock();
    if (known == nullptr || *known != wanted) continue;
    std::rotate(policies_.begin(), each, each + 1);
    return known;
  }
  auto made = std::make_shared<const cluster::ClusterPolicy>(wanted);
  policies_.insert(policies_.begin(), made);
  if (policies_.size() > kMostPolicies) policies_.pop_back();
  return made;
}

}  // namespace weft::config
