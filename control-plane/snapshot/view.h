#pragma once

// What the nodes of one kind (of one namespace, say) are to run: type -> name -> resource, and a log of what changed,
// so that whoever knows an older generation learns the difference in proportion to it.
//
// A view is always consistent: no route names a cluster that the view lacks, no listener a route, no cluster its
// endpoints. It belongs to one thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "control-plane/snapshot/resource.h"

namespace weft::snapshot {

struct Change {
  Type type = Type::kCluster;
  std::string name;
  // Null: the resource is gone.
  ResourcePointer resource;
};

class View {
 public:
  using Resources = absl::flat_hash_map<std::string, ResourcePointer>;

  // Changes that only say again what is known are none. An error, and no change at all, if a resource would then name
  // one that is not there; it says which.
  absl::Status apply(const std::vector<Change>& changes);

  // Null if there is none.
  ResourcePointer find(Type type, const std::string& name) const;
  const Resources& all(Type type) const { return resources_[static_cast<size_t>(type)]; }

  // Counts the changes, from 0, of an empty view.
  uint64_t generation() const { return generation_; }

  // Calls visit(Type, const std::string& name) for what changed after `generation`, oldest first, perhaps twice. False
  // if that is longer ago than the log reaches; the caller then compares everything.
  template <typename Visit>
  bool changes_since(uint64_t generation, Visit&& visit) const {
    if (generation + log_.size() < generation_) return false;
    for (size_t i = log_.size() - (generation_ - generation); i < log_.size(); ++i) visit(log_[i].type, log_[i].name);
    return true;
  }

 private:
  struct Logged {
    Type type;
    std::string name;
  };

  void set(const Change& change);
  void count_references(const Resource& resource, int by);
  absl::Status check(const std::vector<Change>& changes) const;

  std::array<Resources, kTypeCount> resources_;
  // How many resources name this one.
  std::array<absl::flat_hash_map<std::string, int>, kTypeCount> referrers_;
  std::deque<Logged> log_;
  uint64_t generation_ = 0;
};

// The changes that make `to` of what `from` has of each type.
std::vector<Change> difference(const View& from, const std::array<View::Resources, kTypeCount>& to);

}  // namespace weft::snapshot
