#pragma once

// Which audiences a change of a service may concern: an index from services to those who reach or borrow them, so that
// a change costs what it touches. One thread, the mesh's.

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"

namespace weft::control::server {

class Interest {
 public:
  using Id = uint64_t;

  void add(Id id, const compile::Audience& audience);
  void remove(Id id, const compile::Audience& audience);
  // What it borrows now, and borrowed before.
  void borrow(Id id, const std::set<registry::ServiceName>& before, const std::set<registry::ServiceName>& now);

  // Those who reach the service, if they may see it, borrow it or ask it; each once, in their order.
  std::vector<Id> of(const registry::ServiceName& name) const;

 private:
  using Ids = std::set<Id>;

  // By namespace and name, by namespace alone, and whoever takes any namespace.
  absl::flat_hash_map<std::pair<std::string, std::string>, Ids> by_name_;
  absl::flat_hash_map<std::string, Ids> by_namespace_;
  Ids everywhere_;
  absl::flat_hash_map<registry::ServiceName, Ids> borrowers_;
};

}  // namespace weft::control::server
