#include "control-plane/compile/cache.h"

namespace weft::control::compile {

void Cache::forget(const registry::ChangeSet& changed) {
  for (const registry::ServiceName& name : changed.services) entries_.erase(name);
  for (const registry::ServiceName& name : changed.policies) entries_.erase(name);
  for (const registry::ServiceName& name : changed.endpoints) entries_.erase(name);
}

}  // namespace weft::control::compile
