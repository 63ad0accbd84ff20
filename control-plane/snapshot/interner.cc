#include "control-plane/snapshot/interner.h"

#include <algorithm>
#include <utility>

#include "proxy/base/hash.h"

namespace weft::control::snapshot {

ResourcePointer Interner::intern(ResourcePointer resource) {
  if (resources_.size() >= sweep_at_) sweep();
  const uint64_t key = weft::base::xxhash64(resource->name, resource->version);
  std::weak_ptr<const Resource>& known = resources_[key];
  ResourcePointer same = known.lock();
  if (same != nullptr && same->any == resource->any && same->name == resource->name) return same;
  known = resource;
  return resource;
}

void Interner::sweep() {
  absl::erase_if(resources_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<size_t>(1024, 2 * resources_.size());
}

}  // namespace weft::control::snapshot
