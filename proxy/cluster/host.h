#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/observe/hop_identity.h"
#include "proxy/transport/byte_stream.h"

// One endpoint of a cluster, shared by all workers: its identity never changes, its health and load are atomics.

namespace weft::cluster {

// Fields of an endpoint's metadata "envoy.transport_socket_match", or what is asked of them: by name, each value
// serialised. Sorted.
using TransportCriteria = std::vector<std::pair<std::string, std::string>>;

class Host {
 public:
  enum HealthFlag : uint32_t {
    kFailedActiveCheck = 1 << 0,
    kEjectedAsOutlier = 1 << 1,
    kUnhealthyByConfig = 1 << 2,  // EDS health_status UNHEALTHY, TIMEOUT, DRAINING
    kDegraded = 1 << 3,
    kPendingActiveCheck = 1 << 4,  // Not yet checked for the first time.
  };
  static constexpr uint32_t kUnavailable = kFailedActiveCheck | kEjectedAsOutlier | kUnhealthyByConfig;

  Host(transport::Address address, std::string hostname, uint32_t weight, TransportCriteria transport = {});

  const transport::Address& address() const { return address_; }
  const std::string& address_text() const { return address_text_; }  // "10.0.0.1:80"
  const std::string& hostname() const { return hostname_; }          // As configured: the DNS name, or empty.
  const TransportCriteria& transport() const { return transport_; }
  // Who serves there, as the endpoint's metadata says; nullptr: it was not asked.
  const observe::WorkloadIdentity* identity() const { return identity_.get(); }
  // Before anybody else knows the host.
  void set_identity(std::shared_ptr<const observe::WorkloadIdentity> identity) { identity_ = std::move(identity); }
  bool same_identity(const Host& other) const {
    if (identity_ == nullptr || other.identity_ == nullptr) return identity_ == other.identity_;
    return identity_->hash == other.identity_->hash;
  }
  // ≥ 1
  uint32_t weight() const { return weight_.load(std::memory_order_relaxed); }
  // Main thread, before Cluster::set_hosts(), which makes balancers look anew.
  void set_weight(uint32_t weight) { weight_.store(weight == 0 ? 1 : weight, std::memory_order_relaxed); }

  // How far a host has come that begins slowly (slow_start.h), in percent of its weight. Main thread; true if it
  // changed, and balancers then have to look anew.
  static constexpr uint32_t kWholeRamp = 100;
  bool set_ramp_percent(uint32_t percent) {
    return ramp_percent_.exchange(percent, std::memory_order_relaxed) != percent;
  }
  // What balancers go by: the weight times the ramp.
  uint64_t ramped_weight() const { return uint64_t{weight()} * ramp_percent_.load(std::memory_order_relaxed); }

  bool available() const { return (flags_.load(std::memory_order_relaxed) & kUnavailable) == 0; }
  uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }
  // Returns true if the flag changed.
  bool set_flag(HealthFlag flag, bool on);

  // Requests in flight on all workers, for least-request.
  std::atomic<uint32_t> active_requests{0};
  // For /clusters and outlier detection.
  std::atomic<uint64_t> total_requests{0};
  std::atomic<uint64_t> successful_requests{0};
  std::atomic<uint64_t> failed_requests{0};
  std::atomic<uint64_t> connect_failures{0};
  std::atomic<uint64_t> timeouts{0};
  std::atomic<uint32_t> active_connections{0};
  std::atomic<uint64_t> total_connections{0};
  std::atomic<uint32_t> consecutive_5xx{0};
  std::atomic<uint32_t> consecutive_gateway_failures{0};
  std::atomic<uint32_t> consecutive_local_failures{0};

 private:
  transport::Address address_;
  std::string address_text_;
  std::string hostname_;
  TransportCriteria transport_;
  std::shared_ptr<const observe::WorkloadIdentity> identity_;
  std::atomic<uint32_t> weight_;
  std::atomic<uint32_t> ramp_percent_{kWholeRamp};
  std::atomic<uint32_t> flags_{0};
};

using HostPtr = std::shared_ptr<Host>;

// All endpoints of a cluster at one time, by priority (0 is the highest). Immutable; a change makes a new one.
struct HostSet {
  std::vector<std::vector<HostPtr>> priorities;
  uint64_t version = 0;
  size_t size() const {
    size_t total = 0;
    for (const auto& hosts : priorities) total += hosts.size();
    return total;
  }
};
using HostSetPtr = std::shared_ptr<const HostSet>;

}  // namespace weft::cluster
