#pragma once

// The addresses by which applications call services that have none of their own: the mesh's name server answers with
// them, and proxies know by them who is meant. A service keeps its addresses for as long as there is one of its name
// that needs them, over restarts, too, if what take_changes() tells is kept and given back by restore(). Belongs to
// Registry and is not synchronised.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control-plane/registry/visibility.h"

namespace weft::control::registry {

class VirtualAddresses {
 public:
  // Which addresses are whose: one number is that of both families.
  struct Assignment {
    ServiceName service;
    uint16_t number = 0;

    bool operator==(const Assignment&) const = default;
  };
  struct Change {
    ServiceName service;
    // Nothing: it has none any more.
    std::optional<uint16_t> number;

    bool operator==(const Change&) const = default;
  };

  // An IPv4 address of 240.240.0.0/16, which is nobody's on the Internet, and an IPv6 address of 2001:2::/48, as Istio
  // has them. Empty when all of some 65,000 are taken.
  std::vector<std::string> assign(const ServiceName& service);
  void release(const ServiceName& service);

  // Before the first assign(). One that is no number of ours, or another's, is left out.
  void restore(const std::vector<Assignment>& known);
  // Releases all that assign() was not called for since restore().
  void release_unclaimed();
  // What is different since the last call.
  std::vector<Change> take_changes();

 private:
  std::map<ServiceName, uint16_t> numbers_;
  std::set<uint16_t> taken_;
  std::set<ServiceName> unclaimed_;
  std::set<ServiceName> changed_;
};

}  // namespace weft::control::registry
