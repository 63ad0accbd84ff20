#pragma once

// The proxy's real clusters (proxy/config/dynamic): resources compiled, warmed and given to a worker that only keeps
// what it is told. One thread.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/dynamic/clusters.h"
#include "proxy/config/dynamic/secrets.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Applied final : private config::Intake, private config::ClusterPublisher {
 public:
  // `want_endpoints`: what is wanted of endpoints has become this.
  Applied(World& world, std::function<void(std::set<std::string> names)> want_endpoints);
  ~Applied();

  // As the sources bring it: clusters and endpoints; other types are nothing to it.
  std::vector<config::xds::Refusal> give(config::xds::Type type, const config::xds::Update& update);
  // Nobody waits for these endpoints any longer.
  void give_up(config::xds::Type type, const std::vector<std::string>& names);

  // Empty if what runs is exactly this, by name and version; else what is not.
  std::string difference(const std::map<std::string, uint64_t>& clusters,
                         const std::map<std::string, uint64_t>& endpoints) const;

 private:
  struct Source;

  std::vector<config::xds::Refusal> on_update(const std::string& source, config::xds::Type type,
                                              const config::xds::Update& update) override;
  void on_fetch_timeout(const std::string& source, config::xds::Type type,
                        const std::vector<std::string>& names) override;
  void assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) override;
  void drop_lost_hosts(const cluster::ClusterSlotPtr& slot) override;

  const std::function<void(std::set<std::string> names)> want_endpoints_;
  config::SharedParts parts_;
  base::Random random_;
  bool ending_ = false;
  // Of the sources that were made, by type.
  std::array<config::xds::Consumer*, config::xds::kTypes> consumers_{};
  config::Sources sources_;
  config::Secrets secrets_;
  config::Clusters clusters_;
  // What the worker has, by name.
  std::map<std::string, cluster::ClusterPtr> running_;
};

}  // namespace weft::simulation
