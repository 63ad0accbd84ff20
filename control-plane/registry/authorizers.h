#pragma once

// Which ExternalAuthorizers there are, which service each asks, and what is to be said of each. Belongs to Registry and
// is not synchronised.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "control-plane/registry/model.h"

namespace weft::v1 {
class AuthorizationPolicyStatus;
}  // namespace weft::v1

namespace weft::control::registry {

class AuthorizerTable {
 public:
  // Valid objects of the kind.
  void add(const source::Object& authorizer);
  void remove(const source::Object& authorizer);

  // Whom policies of the namespace mean by this name: one of their own, or else the mesh's. Never null.
  std::shared_ptr<const Authorizer> find(const std::string& namespace_name, const std::string& name,
                                         const SharedMap<ServiceName, Service>& services) const;
  // All that ask the service, whether it is there or not.
  std::set<source::Key> asking(const ServiceName& service) const;

  // Without times of transition.
  static std::shared_ptr<v1::AuthorizationPolicyStatus> judge(const source::Object& authorizer,
                                                              const SharedMap<ServiceName, Service>& services);

 private:
  std::map<source::Key, source::Object> authorizers_;
  std::map<ServiceName, std::set<source::Key>> of_service_;
};

}  // namespace weft::control::registry
