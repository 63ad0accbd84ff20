#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "proxy/base/weak_set.h"
#include "proxy/cluster/config.h"
#include "proxy/cluster/slot.h"
#include "proxy/config/compile/compile.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/metrics.h"
#include "proxy/route/slot.h"
#include "proxy/transport/byte_stream.h"

// What everything that a process compiles has in common, from the bootstrap to the last resource that came while it
// ran: metrics that go on under their name, open log files, the clusters' places. Main thread.

namespace weft::observe {
class HopMetrics;
}  // namespace weft::observe

namespace weft::config {

// Filter chains by their content_hash.
using KnownChains = std::map<uint64_t, std::shared_ptr<const snapshot::FilterChain>>;

class SharedParts {
 public:
  CompileOptions options;
  // Without its listeners and clusters: node, runtime, secrets and the like, which resources refer to.
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  // Of the bootstrap, those by which control planes can be called; sorted.
  std::vector<std::string> control_plane_clusters;
  bool can_call_control_plane(const std::string& cluster) const {
    return std::binary_search(control_plane_clusters.begin(), control_plane_clusters.end(), cluster);
  }
  // Set while the own secret (CompileOptions) is not shown to them.
  std::shared_ptr<std::atomic<bool>> own_secret_withheld = std::make_shared<std::atomic<bool>>(false);
  cluster::ClusterSlots slots;
  route::RouteSlots route_slots;
  // Whether there is such a cluster now, for what is compiled while the proxy runs. Not set: none is missed.
  std::function<bool(const std::string&)> has_cluster;

  // Metrics with one prefix are one family, however many use it and though what uses it is replaced.
  template <typename Stats>
  std::shared_ptr<observe::Family<Stats>> family(const std::string& prefix, std::string_view tag_name,
                                                 const std::string& tag_value) {
    // Two kinds of metrics may have one prefix.
    std::shared_ptr<observe::FamilyBase> found = known_family(prefix, typeid(observe::Family<Stats>));
    if (found == nullptr) {
      found = std::make_shared<observe::Family<Stats>>(prefix, tag_name, tag_value, options.workers);
      keep_family(found);
    }
    return std::static_pointer_cast<observe::Family<Stats>>(found);
  }

  // The same for what filters count, which no listener has by itself: kept for /stats as long as anybody counts.
  template <typename Stats>
  std::shared_ptr<observe::Family<Stats>> filter_family(const std::string& prefix, std::string_view tag_name,
                                                        const std::string& tag_value) {
    std::erase_if(filter_families_, [](const auto& each) { return each.second.use_count() == 1; });
    auto found = family<Stats>(prefix, tag_name, tag_value);
    filter_families_[prefix + typeid(Stats).name()] = found;
    return found;
  }
  const std::map<std::string, std::shared_ptr<observe::FamilyBase>>& filter_families() const {
    return filter_families_;
  }

  // The policy of a cluster: one for all that are alike, as long as there are not too many kinds.
  std::shared_ptr<const cluster::ClusterPolicy> policy(const cluster::ClusterPolicy& wanted);

  std::vector<std::shared_ptr<observe::AccessLog>> access_logs;
  std::map<std::string, std::shared_ptr<observe::AccessLog>> access_logs_by_key;
  std::shared_ptr<observe::LogWriter> log_writer;    // Made with the first access log.
  std::shared_ptr<observe::HopMetrics> hop_metrics;  // With the first filter that measures hops.
  std::vector<std::pair<transport::SocketOptions, std::shared_ptr<transport::Connector>>> plain_connectors;

 private:
  std::shared_ptr<observe::FamilyBase> known_family(std::string_view prefix, std::type_index type) const;
  void keep_family(const std::shared_ptr<observe::FamilyBase>& family);

  base::WeakSet<observe::FamilyBase> families_;
  std::map<std::string, std::shared_ptr<observe::FamilyBase>> filter_families_;
  std::vector<std::weak_ptr<const cluster::ClusterPolicy>> policies_;  // The last wanted first.
};

}  // namespace weft::config
