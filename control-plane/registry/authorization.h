#pragma once

// Which AuthorizationPolicies and RequestAuthentications hold where, and what is to be said of each. Belongs to
// Registry and is not synchronised.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "control-plane/registry/authorizers.h"
#include "control-plane/registry/model.h"

namespace weft::v1 {
class AuthorizationPolicyStatus;
}  // namespace weft::v1

namespace weft::control::registry {

class AuthorizationTable {
 public:
  // Valid objects of the kinds.
  void add(const source::Object& policy);
  void remove(const source::Object& policy);

  // Those of a namespace, by name; null if it has none.
  std::shared_ptr<const NamespaceAuthorizations> of(const std::string& namespace_name,
                                                    const AuthorizerTable& authorizers,
                                                    const SharedMap<ServiceName, Service>& services) const;
  // All that have the service as target.
  std::set<source::Key> naming(const ServiceName& service) const;

  // All that may mean the authorizer by their provider.
  std::set<source::Key> asking(const source::Key& authorizer) const;

  // Without times of transition.
  static std::shared_ptr<v1::AuthorizationPolicyStatus> judge(const source::Object& policy,
                                                              const AuthorizerTable& authorizers,
                                                              const SharedMap<ServiceName, Service>& services);

 private:
  std::map<std::string, std::map<source::Key, source::Object>> policies_;
};

}  // namespace weft::control::registry
