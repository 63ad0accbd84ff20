#pragma once

// All that the nodes of an audience are to run, of a model; and what of it changes with the model. Pure but for the
// cache, on whose thread it runs.

#include <array>
#include <set>
#include <vector>

#include "control-plane/compile/cache.h"
#include "control-plane/compile/reach.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/view.h"

namespace weft::control::compile {

using Compiled = std::array<snapshot::Resources, snapshot::kTypeCount>;

// Costs what the audience reaches.
Compiled compile_all(const Reach& reach, Cache& cache);

// What the audience reaches of a model, and what it borrows (Reach::borrowed).
struct Borrowing {
  const Reach& reach;
  const std::set<registry::ServiceName>& borrowed;
};

// What makes a view of `before` one of `after`, of the same audience, given what is different between the two;
// `changed` may leave out what the audience neither reaches nor borrows, before or after. Costs what changed; a proxy's
// outbound route, which has all services that it reaches, is one thing that changes.
std::vector<snapshot::Change> compile_changes(const Borrowing& before, const Borrowing& after,
                                              const registry::ChangeSet& changed, Cache& cache);

}  // namespace weft::control::compile
