#pragma once

// What was compiled of services and is the same for many audiences: compiled once, and kept until the service changes.
// Of one model at a time. Belongs to the thread that compiles.

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/snapshot/interner.h"

namespace weft::control::compile {

using Resources = std::vector<snapshot::ResourcePointer>;

class Cache {
 public:
  // Of one service.
  struct Entry {
    // For proxies, and for gRPC's clients.
    std::array<std::optional<Resources>, 2> clusters;
    std::optional<Resources> endpoints;
  };

  Entry& of(const registry::ServiceName& name) { return entries_[name]; }
  // To be called for whatever is different in the next model, before anything is compiled of that.
  void forget(const registry::ChangeSet& changed);

  snapshot::Interner& interner() { return interner_; }

 private:
  std::map<registry::ServiceName, Entry> entries_;
  snapshot::Interner interner_;
};

}  // namespace weft::control::compile
