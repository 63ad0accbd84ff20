#pragma once

// Which Scope holds where, and what is to be said of each. Belongs to Registry and is not synchronised.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control-plane/registry/model.h"

namespace weft::v1 {
class ScopeStatus;
}  // namespace weft::v1

namespace weft::control::registry {

class ScopeTable {
 public:
  // Valid objects of the kind.
  void add(const source::Object& scope);
  void remove(const source::Object& scope);

  // Those of a namespace that hold; null if it has none.
  std::shared_ptr<const NamespaceScopes> of(const std::string& namespace_name) const;
  // All of a namespace, and all that name a service.
  std::set<source::Key> all_of(const std::string& namespace_name) const;
  std::set<source::Key> naming(const ServiceName& service) const;

  // Without times of transition.
  std::shared_ptr<v1::ScopeStatus> judge(const source::Object& scope,
                                         const SharedMap<ServiceName, Service>& services) const;

 private:
  struct Age {
    int64_t created_ms;
    source::Key key;
    auto operator<=>(const Age&) const = default;
  };
  using OfNamespace = std::map<Age, source::Object>;

  static const source::Object* winner(const OfNamespace& scopes, const std::string& service);

  std::map<std::string, OfNamespace> scopes_;
  // By namespace and name of a service, as a host or as what it is for.
  std::map<std::pair<std::string, std::string>, std::set<source::Key>> naming_;
};

}  // namespace weft::control::registry
