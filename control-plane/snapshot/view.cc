#include "control-plane/snapshot/view.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace weft::control::snapshot {

namespace {

constexpr size_t kMinLogged = 32;

size_t index(Type type) { return static_cast<size_t>(type); }

absl::Status dangling(const Resource& resource, const Reference& reference) {
  return absl::FailedPreconditionError(absl::StrCat(std::string(type_name(resource.type)), " \"", resource.name,
                                                    "\" names ", std::string(type_name(reference.type)), " \"",
                                                    reference.name, "\", which the view lacks"));
}

}  // namespace

ResourcePointer View::find_own(Type type, const std::string& name) const { return snapshot::find(own(type), name); }

ResourcePointer View::find(Type type, const std::string& name) const {
  ResourcePointer found = find_own(type, name);
  return found == nullptr && below_ != nullptr ? below_->find(type, name) : found;
}

void View::stand_on(const View* below) {
  below_ = below;
  log_.clear();
  ++generation_;
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
  trim_log();
  return absl::OkStatus();
}

// Who is further behind than half of what there is compares everything, which costs about as much.
void View::trim_log() {
  size_t count = 0;
  for (const Resources& resources : resources_) count += resources.size();
  const size_t most = std::max(kMinLogged, count / 2);
  if (log_.size() <= most) return;
  log_.erase(log_.begin(), log_.end() - static_cast<std::ptrdiff_t>(most));
  log_.shrink_to_fit();
}

void View::set(const Change& change) {
  Resources& resources = resources_[index(change.type)];
  if (change.resource == nullptr) {
    resources.erase(change.name);
  } else {
    put(change.resource, resources);
  }
}

// Only what changed can have broken a reference: what it names now, and who names what is gone.
absl::Status View::check(const std::vector<Change>& changes) const {
  std::array<absl::flat_hash_set<std::string_view>, kTypeCount> gone;
  bool any_gone = false;
  for (const Change& change : changes) {
    const ResourcePointer now = find(change.type, change.name);
    if (now == nullptr) {
      gone[index(change.type)].insert(change.name);
      any_gone = true;
      continue;
    }
    for (const Reference& reference : now->references) {
      if (find(reference.type, reference.name) == nullptr) return dangling(*now, reference);
    }
  }
  if (!any_gone) return absl::OkStatus();
  for (const Resources& resources : resources_) {
    for (const ResourcePointer& resource : resources) {
      for (const Reference& reference : resource->references) {
        if (gone[index(reference.type)].contains(reference.name)) return dangling(*resource, reference);
      }
    }
  }
  return absl::OkStatus();
}

std::vector<Change> difference(const View& from, const std::array<Resources, kTypeCount>& to) {
  std::vector<Change> changes;
  for (const Type type : kTypes) {
    for (const ResourcePointer& resource : to[index(type)]) {
      const ResourcePointer known = find(from.own(type), resource->name);
      if (known == nullptr || known->version != resource->version) changes.push_back({type, resource->name, resource});
    }
    for (const ResourcePointer& known : from.own(type)) {
      if (!to[index(type)].contains(known->name)) changes.push_back({type, known->name, nullptr});
    }
  }
  return changes;
}

}  // namespace weft::control::snapshot
