#pragma once

// What the nodes of one kind (of one namespace, say) are to run: type -> name -> resource, and a log of what changed,
// so that whoever knows an older generation learns the difference in proportion to it.
//
// A view is always consistent: no route names a cluster that the view lacks, no listener a route, no cluster its
// endpoints. A view may stand on another: it has all of that one too, and of its own only what one node has alone. It
// belongs to one thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::snapshot {

struct Change {
  Type type = Type::kCluster;
  std::string name;
  // Null: the resource is gone.
  ResourcePointer resource;
};

class View {
 public:
  // Counts the changes, from 0, of an empty view.
  struct Generation {
    uint64_t own = 0;
    // Of the view on which this one stands.
    uint64_t below = 0;

    bool operator==(const Generation&) const = default;
  };

  // `below` outlives the view; null for one that stands alone. A name of its own hides the same one below.
  explicit View(const View* below = nullptr) : below_(below) {}

  // From now on it stands on another. Whoever knows an older generation compares everything.
  void stand_on(const View* below);

  // Changes that only say again what is known are none. An error, and no change at all, if a resource would then name
  // one that is not there; it says which.
  absl::Status apply(const std::vector<Change>& changes);

  // Null if there is none.
  ResourcePointer find(Type type, const std::string& name) const;
  // Its own, without those of the view below.
  const Resources& own(Type type) const { return resources_[static_cast<size_t>(type)]; }
  // Every name of a type, those of the view below included, perhaps twice: visit(const std::string& name).
  template <typename Visit>
  void for_each_name(Type type, Visit&& visit) const {
    if (below_ != nullptr) below_->for_each_name(type, visit);
    for (const ResourcePointer& resource : own(type)) visit(resource->name);
  }

  Generation generation() const { return {generation_, below_ == nullptr ? 0 : below_->generation_}; }

  // Calls visit(Type, const std::string& name) for what changed after `generation`, oldest first, perhaps twice. False
  // if that is longer ago than the log reaches; the caller then compares everything.
  template <typename Visit>
  bool changes_since(Generation generation, Visit&& visit) const {
    if (generation.own + log_.size() < generation_) return false;
    if (below_ != nullptr && !below_->changes_since({generation.below, 0}, visit)) return false;
    for (size_t i = log_.size() - (generation_ - generation.own); i < log_.size(); ++i)
      visit(log_[i].type, log_[i].name);
    return true;
  }

 private:
  struct Logged {
    Type type;
    std::string name;
  };

  ResourcePointer find_own(Type type, const std::string& name) const;
  void set(const Change& change);
  absl::Status check(const std::vector<Change>& changes) const;
  void trim_log();

  const View* below_;
  std::array<Resources, kTypeCount> resources_;
  std::vector<Logged> log_;
  uint64_t generation_ = 0;
};

// The changes that make `to` of what `from` has of its own of each type.
std::vector<Change> difference(const View& from, const std::array<Resources, kTypeCount>& to);

}  // namespace weft::control::snapshot
