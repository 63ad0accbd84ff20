#pragma once

// One proxy of a simulated run: a node, its streams to the control plane and what it holds. One thread.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "envoy/config/core/v3/base.pb.h"
#include "tests/simulation/control_plane.h"
#include "tests/simulation/holder.h"
#include "tests/simulation/streams.h"

namespace weft::simulation {

class Server;

class Proxy {
 public:
  struct Options {
    std::string name;
    envoy::config::core::v3::Node node;
    bool delta = false;
    bool aggregated = true;
    // Its refusals do not say what is meant.
    bool vague = false;
    bool rate_limited = false;
    bool real_clusters = false;
    uint64_t refused_per_mille = 0;
    uint64_t salt = 0;
    std::vector<std::string> listeners;
  };

  // `server`: the proxy calls it by bytes through its whole stack; null: by messages.
  Proxy(World& world, ControlPlane& control_plane, Server* server, References& references, const Options& options);
  ~Proxy();

  Streams& streams() { return *streams_; }
  const Streams& streams() const { return *streams_; }
  // The streams break; each end learns of it after a while.
  void cut();

  const Options& options() const { return options_; }
  const Holder& holder() const { return holder_; }

  // Empty if what is held is what the view has for this node, but for what it refuses; else what is not.
  std::string difference(const control::snapshot::View& view) const;

 private:
  using Type = config::xds::Type;
  std::string difference(Type type, const control::snapshot::View& view, const std::set<std::string>& wanted) const;

  World& world_;
  const Options options_;
  Holder holder_;
  std::unique_ptr<Streams> streams_;
};

}  // namespace weft::simulation
