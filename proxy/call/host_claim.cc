#include "proxy/call/host_claim.h"

#include <utility>

namespace weft::call {

std::string_view HostClaim::claim(pool::WorkerCluster& upstream, cluster::Priority priority) {
  cluster_ = upstream.cluster().shared_from_this();
  priority_ = priority;
  cluster::HostPtr host = upstream.choose_host({});
  if (host == nullptr) return "no endpoint of the cluster can be used";
  if (!cluster_->breakers(priority).try_request()) return "the cluster has its maximum of requests in flight";
  host_ = std::move(host);
  held_ = true;
  host_->active_requests.fetch_add(1, std::memory_order_relaxed);
  host_->total_requests.fetch_add(1, std::memory_order_relaxed);
  upstream.stats().upstream_rq_total.add();
  upstream.stats().upstream_rq_active.add();
  return {};
}

void HostClaim::release() {
  if (!std::exchange(held_, false)) return;
  host_->active_requests.fetch_sub(1, std::memory_order_relaxed);
  cluster_->breakers(priority_).request_done();
  cluster_->stats(context_.worker).upstream_rq_active.subtract();
}

void HostClaim::report(uint16_t status, http::Cause cause) {
  cluster_->report(*host_, status, cause, context_.loop.now_ms(), context_.worker);
}

}  // namespace weft::call
