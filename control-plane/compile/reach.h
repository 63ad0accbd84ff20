#pragma once

// Which services an audience is told of. It reaches those that its namespace may see and that are in its scope. Beside
// them it borrows those that routes of services within its reach send to, for whoever owns a route decides where its
// calls go, and those whom it must ask about calls of its own application: the audience has their clusters but no name
// to call them by. A Reach works things out when it is first asked, so each belongs to one thread.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"

namespace weft::control::compile {

using Hosts = std::vector<registry::HostPattern>;
using Services = std::vector<std::shared_ptr<const registry::Service>>;

// What a node that declares `declared` may call under the Scope that holds for it; unset for everything. Sorted, each
// once.
std::optional<Hosts> scope_of(const registry::Scope* scope, const std::optional<Hosts>& declared);

class Reach {
 public:
  // Both outlive it.
  Reach(const registry::Model& model, const Audience& audience) : model_(model), audience_(audience) {}

  const registry::Model& model() const { return model_; }
  const Audience& audience() const { return audience_; }

  bool has(const registry::Service& service) const;
  // Null if it does not reach it, or there is no such service.
  std::shared_ptr<const registry::Service> find(const registry::ServiceName& name) const;
  // All of them, in an order that is the same for the same model. Costs what it reaches, not what there is.
  const Services& services() const;
  std::set<registry::ServiceName> borrowed() const;

 private:
  Services in_scope() const;

  const registry::Model& model_;
  const Audience& audience_;
  mutable std::optional<Services> services_;
};

}  // namespace weft::control::compile
