#pragma once

// All that the nodes of an audience are to run, of a model; and what of it changes with the model. Pure but for the
// cache, on whose thread it runs.

#include <array>
#include <set>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/compile/cache.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/view.h"

namespace weft::control::compile {

using Compiled = std::array<snapshot::Resources, snapshot::kTypeCount>;

// Costs what the audience reaches.
Compiled compile_all(const registry::Model& model, const Audience& audience, Cache& cache);

// A model, and what the audience borrows of it (Reach::borrowed).
struct Borrowing {
  const registry::Model& model;
  const std::set<registry::ServiceName>& borrowed;
};

// What makes a view of `before` one of `after`, given what is different between the two; `changed` may leave out what
// the audience neither reaches nor borrows, before or after. Costs what changed; a proxy's outbound route, which has
// all services that it reaches, is one thing that changes.
std::vector<snapshot::Change> compile_changes(const Borrowing& before, const Borrowing& after,
                                              const registry::ChangeSet& changed, const Audience& audience,
                                              Cache& cache);

}  // namespace weft::control::compile
