#pragma once

// Makes equal resources one: what is compiled for many nodes is kept once, and a resource compiled anew with the same
// content stays the one that nodes hold. Belongs to the thread that compiles.

#include "absl/container/flat_hash_map.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::snapshot {

class Interner {
 public:
  // The resource of this type, name and content that is alive already, or else this one. References are part of the
  // content, so a resource that is found has the same.
  ResourcePointer intern(ResourcePointer resource);

  // Known resources, those that nobody holds any more included until the next sweep.
  size_t size() const { return resources_.size(); }

 private:
  void sweep();

  absl::flat_hash_map<uint64_t, std::weak_ptr<const Resource>> resources_;
  size_t sweep_at_ = 1024;
};

}  // namespace weft::control::snapshot
