#include "control-plane/compile/cache.h"

namespace weft::control::compile {

void Cache::forget(const registry::ChangeSet& changed) {
  for (const registry::ServiceName& name : changed.services) entries_.erase(name);
  for (const registry::ServiceName& name : changed.policies) entries_.erase(name);
  for (const registry::ServiceName& name : changed.endpoints) {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) continue;
    entry->second.endpoints.reset();
    entry->second.captured = {};
    entry->second.names = {};
    // Those that callers resolve stand in the clusters.
    entry->second.clusters = {};
  }
  for (const registry::ServiceName& name : changed.routes) {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) continue;
    entry->second.hosts = {};
    entry->second.captured = {};
  }
}

}  // namespace weft::control::compile
