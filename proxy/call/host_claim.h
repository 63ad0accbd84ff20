#pragma once

#include <string_view>

#include "proxy/cluster/cluster.h"
#include "proxy/pool/worker_context.h"

// A request of the proxy's own in the books of a cluster: a host that was chosen for it, a place within the breakers,
// and the counts of what is active. Given back by release(), at the latest when it ends. One thread.

namespace weft::call {

class HostClaim {
 public:
  explicit HostClaim(pool::WorkerContext& context) : context_(context) {}
  ~HostClaim() { release(); }
  HostClaim(const HostClaim&) = delete;
  HostClaim& operator=(const HostClaim&) = delete;

  // Once. Empty: there is a host now. Else why there is none, as a sentence without its end.
  std::string_view claim(pool::WorkerCluster& upstream, cluster::Priority priority);
  void release();

  // nullptr until claim(); it stays after release().
  const cluster::HostPtr& host() const { return host_; }
  // What became of the request, for outlier ejection. Of a request that had no answer the status is 0. After claim().
  void report(uint16_t status, http::Cause cause);

 private:
  pool::WorkerContext& context_;
  cluster::ClusterPtr cluster_;
  cluster::HostPtr host_;
  cluster::Priority priority_ = cluster::Priority::kDefault;
  bool held_ = false;
};

}  // namespace weft::call
