#include "control-plane/snapshot/view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::control::snapshot {

namespace {

// Enough for a burst; who is further behind compares everything, which costs about as much.
constexpr size_t kMaxLogged = 4096;

size_t index(Type type) { return static_cast<size_t>(type); }

absl::Status dangling(const Resource& resource, const Reference& reference) {
  return absl::FailedPreconditionError(absl::StrCat(std::string(type_name(resource.type)), " \"", resource.name,
                                                    "\" names ", std::string(type_name(reference.type)), " \"",
                                                    reference.name, "\", which the view lacks"));
}

}  // namespace

ResourcePointer View::find_own(Type type, const std::string& name) const {
  const Resources& resources = own(type);
  const auto found = resources.find(name);
  return found == resources.end() ? nullptr : found->second;
}

ResourcePointer View::find(Type type, const std::string& name) const {
  ResourcePointer found = find_own(type, name);
  return found == nullptr && below_ != nullptr ? below_->find(type, name) : found;
}

absl::Status View::apply(const std::vector<Change>& changes) {
  std::vector<Change> undo;
  const uint64_t before = generation_;
  for (const Change& change : changes) {
    const ResourcePointer known = find_own(change.type, change.name);
    if (known == change.resource) continue;
    if (known != nullptr && change.resource != nullptr && known->version == change.resource->version) continue;
    undo.push_back({change.type, change.name, known});
    set(change);
    log_.push_back({change.type, change.name});
    ++generation_;
  }
  const absl::Status consistent = check(undo);
  if (!consistent.ok()) {
    for (auto change = undo.rbegin(); change != undo.rend(); ++change) set(*change);
    log_.resize(log_.size() - undo.size());
    generation_ = before;
    return consistent;
  }
  while (log_.size() > kMaxLogged) log_.pop_front();
  return absl::OkStatus();
}

void View::set(const Change& change) {
  Resources& resources = resources_[index(change.type)];
  const auto known = resources.find(change.name);
  if (known != resources.end()) count_references(*known->second, -1);
  if (change.resource == nullptr) {
    if (known != resources.end()) resources.erase(known);
    return;
  }
  count_references(*change.resource, 1);
  if (known != resources.end()) {
    known->second = change.resource;
  } else {
    resources.emplace(change.name, change.resource);
  }
}

void View::count_references(const Resource& resource, int by) {
  for (const Reference& reference : resource.references) {
    auto& referrers = referrers_[index(reference.type)];
    const auto count = referrers.try_emplace(reference.name, 0).first;
    count->second += by;
    if (count->second == 0) referrers.erase(count);
  }
}

// Only what changed can have broken a reference: what it names now, and who names what is gone.
absl::Status View::check(const std::vector<Change>& changes) const {
  for (const Change& change : changes) {
    const ResourcePointer now = find(change.type, change.name);
    if (now == nullptr) {
      if (!referrers_[index(change.type)].contains(change.name)) continue;
      for (const Type type : kTypes) {
        for (const auto& [name, resource] : own(type)) {
          for (const Reference& reference : resource->references) {
            if (reference.type == change.type && reference.name == change.name) return dangling(*resource, reference);
          }
        }
      }
      continue;
    }
    for (const Reference& reference : now->references) {
      if (find(reference.type, reference.name) == nullptr) return dangling(*now, reference);
    }
  }
  return absl::OkStatus();
}

std::vector<Change> difference(const View& from, const std::array<View::Resources, kTypeCount>& to) {
  std::vector<Change> changes;
  for (const Type type : kTypes) {
    for (const auto& [name, resource] : to[index(type)]) {
      const auto found = from.own(type).find(name);
      const ResourcePointer known = found == from.own(type).end() ? nullptr : found->second;
      if (known == nullptr || known->version != resource->version) changes.push_back({type, name, resource});
    }
    for (const auto& [name, known] : from.own(type)) {
      if (!to[index(type)].contains(name)) changes.push_back({type, name, nullptr});
    }
  }
  return changes;
}

}  // namespace weft::control::snapshot
