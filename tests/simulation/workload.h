#pragma once

// What people do to the mesh while a run lasts: services, endpoints, routes and policies come, change and go, as
// documents through the control plane's own front door. One thread.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/base/random.h"
#include "tests/simulation/control_plane.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Workload {
 public:
  Workload(World& world, ControlPlane& control_plane, uint64_t seed, int services);

  // The mesh as it is at first.
  void begin();
  // One commit of a few changes. Nothing while the control plane is down.
  void change();

  static const std::vector<std::string>& namespaces();
  static std::string service_name(uint64_t index) { return "s" + std::to_string(index); }
  uint64_t commits() const { return commits_; }

 private:
  struct Place {
    std::string namespace_name;
    std::string service;
  };
  Place place();
  uint64_t below(uint64_t bound) { return random_.below(bound); }

  std::string service(const Place& place);
  std::string slice(const Place& place);
  std::string route(const Place& place);
  std::string policy(const Place& place);
  std::string external(const Place& place);
  void apply(const std::string& documents);
  void remove_one();
  void roll_back();

  World& world_;
  ControlPlane& control_plane_;
  base::Random random_;
  const uint64_t services_;
  uint64_t commits_ = 0;
};

}  // namespace weft::simulation
