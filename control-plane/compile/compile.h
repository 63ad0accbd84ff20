#pragma once

// All that the nodes of an audience are to run, of a model; and what of it changes with the model. Pure but for the
// interner, on whose thread it runs.

#include <array>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/interner.h"
#include "control-plane/snapshot/view.h"

namespace weft::control::compile {

using Compiled = std::array<snapshot::View::Resources, snapshot::kTypeCount>;

Compiled compile_all(const registry::Model& model, const Audience& audience, snapshot::Interner& interner);

// What makes a view of `before` one of `after`, given what is different between the two. Costs what changed; a proxy's
// outbound route, which has all services, is one thing that changes.
std::vector<snapshot::Change> compile_changes(const registry::Model& before, const registry::Model& after,
                                              const registry::ChangeSet& changed, const Audience& audience,
                                              snapshot::Interner& interner);

}  // namespace weft::control::compile
