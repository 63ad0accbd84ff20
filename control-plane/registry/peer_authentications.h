#pragma once

// Which PeerAuthentication holds where, and what is to be said of each. Belongs to Registry and is not synchronised.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "control-plane/registry/model.h"

namespace weft::v1 {
class PeerAuthenticationStatus;
}  // namespace weft::v1

namespace weft::control::registry {

class PeerAuthenticationTable {
 public:
  // Valid objects of the kind.
  void add(const source::Object& object);
  void remove(const source::Object& object);

  // Those of a namespace that hold; null if it has none.
  std::shared_ptr<const NamespaceMtls> of(const std::string& namespace_name) const;
  // All of a namespace.
  std::set<source::Key> all_of(const std::string& namespace_name) const;

  // Without times of transition.
  std::shared_ptr<v1::PeerAuthenticationStatus> judge(const source::Object& object,
                                                      const SharedMap<ServiceName, Service>& services) const;

 private:
  struct Age {
    int64_t created_ms;
    source::Key key;
    auto operator<=>(const Age&) const = default;
  };
  using OfNamespace = std::map<Age, source::Object>;

  static const source::Object* winner(const OfNamespace& all, const std::string& service);

  std::map<std::string, OfNamespace> objects_;
};

}  // namespace weft::control::registry
