#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "proxy/base/intrusive_list.h"
#include "proxy/base/random.h"
#include "proxy/cluster/cluster.h"
#include "proxy/cluster/slot.h"
#include "proxy/codec/codec.h"
#include "proxy/event/loop.h"
#include "proxy/transport/byte_stream.h"

// A worker's side of the clusters: which host takes the next request, and the upstream connections and their reuse.
// One WorkerUpstreams per worker, on its thread.

namespace weft::pool {

class HostPool;

// What an exchange may know of the connection that carries it.
class UpstreamConnection {
 public:
  virtual const transport::ConnectionInfo& info() const = 0;
  virtual uint64_t id() const = 0;
  virtual http::Version version() const = 0;
  // True if it had carried an exchange before this one: then a close before the first answer byte may mean that the
  // request never was looked at.
  virtual bool reused() const = 0;
  // To be called after send_*(), reset() or pause_receiving(false) on one of its streams: at the end of the turn output
  // is written, once, and reading goes on where it had stopped.
  virtual void schedule_flush() = 0;
  // True if any byte of this stream's request reached the socket: it may have been processed.
  virtual bool request_bytes_written(const codec::ClientStream& stream) const = 0;
  // By its handshake; nullptr without TLS.
  virtual const std::shared_ptr<const observe::ConnectionPrincipals>& principals() const = 0;
  // "10.0.0.1:1234"; lives as long as the connection's worker.
  virtual std::string_view local_address_text() const = 0;

 protected:
  ~UpstreamConnection() = default;
};

// One who wants an HTTP stream. Destroying it while it waits takes it out of the queue.
class StreamWaiter : public base::ListNode<StreamWaiter> {
 public:
  // Takes it out of the queue, if it is in one, and out of the breakers' count of those who wait.
  void leave_queue() {
    unlink();
    if (counted_in_ == nullptr) return;
    counted_in_->pending_done();
    stats_->upstream_rq_pending_active.subtract();
    counted_in_ = nullptr;
  }
  virtual codec::ResponseEvents& response_events() = 0;
  // May come from within acquire().
  virtual void on_stream_ready(codec::ClientStream& stream, UpstreamConnection& connection) = 0;
  virtual void on_stream_failed(http::Cause cause, std::string_view detail) = 0;
  // The route's priority: which breakers count it.
  virtual cluster::Priority priority() const = 0;
  // No HTTP is wanted but a connection of its own, for the bytes of a tunnel.
  virtual bool wants_tunnel() const = 0;
  // A connection that has carried nothing yet: those that are idle may be as stale as the one that it had. Where no
  // more can be made, any will do.
  virtual bool wants_new_connection() const { return false; }
  // Of the downstream request, for clusters whose protocol is kAsDownstream.
  virtual http::Version downstream_version() const = 0;
  // The name that the request gives the server, for clusters that take SNI from it.
  virtual std::string_view server_name() const { return {}; }

 protected:
  virtual ~StreamWaiter() { leave_queue(); }

 private:
  friend class HostPool;
  cluster::Breakers* counted_in_ = nullptr;
  observe::ClusterStats* stats_ = nullptr;
};

// One who wants a raw connection (TCP proxy, health checks use a Connector directly).
class TcpWaiter : public base::ListNode<TcpWaiter> {
 public:
  virtual void on_tcp_ready(std::unique_ptr<transport::ByteStream> stream, cluster::Host& host) = 0;
  virtual void on_tcp_failed(http::Cause cause, std::string_view detail) = 0;

 protected:
  virtual ~TcpWaiter() = default;
};

// What the balancer may look at when it chooses.
struct BalanceContext {
  cluster::Host* const* avoid = nullptr;  // Hosts tried before (retry_host_predicate previous_hosts).
  size_t avoid_count = 0;
  uint32_t avoid_tries = 1;      // host_selection_retry_max_attempts
  std::optional<uint64_t> hash;  // Of the route's hash policies.
  // Where the downstream connection was going before it was brought here, for clusters that connect to there; nullptr:
  // it was made to the proxy itself.
  const transport::Address* original_destination = nullptr;
};

// Why choose_host() found none.
inline http::Cause no_host_cause(const cluster::Cluster& cluster, const BalanceContext& context) {
  bool is_original = cluster.config().discovery == cluster::DiscoveryType::kOriginalDst;
  return is_original && context.original_destination == nullptr ? http::Cause::kNoOriginalDestination
                                                                : http::Cause::kNoHealthyUpstream;
}

class WorkerCluster {
 public:
  virtual ~WorkerCluster() = default;
  virtual cluster::Cluster& cluster() = 0;
  virtual observe::ClusterStats& stats() = 0;
  // nullptr: no host can take it. The reference keeps the host alive past its removal from the cluster.
  virtual cluster::HostPtr choose_host(const BalanceContext& context) = 0;
  // A stream on a connection to `host`: on a ready connection at once, else after waiting for one, within the
  // breakers. Ends in exactly one of the waiter's callbacks, unless the waiter goes first.
  virtual void acquire_stream(const cluster::HostPtr& host, StreamWaiter& waiter) = 0;
  // A new connection of its own for the caller, connected. It gives back its places in the breakers and the host's and
  // cluster's counts, and counts its bytes, when it is destroyed. Fails within the cluster's connect timeout.
  virtual void acquire_tcp(const cluster::HostPtr& host, TcpWaiter& waiter) = 0;
  // It and its cluster stay until as many release() as hold() were called, whatever becomes of the configuration.
  virtual void hold() = 0;
  virtual void release() = 0;
};

class WorkerUpstreams {
 public:
  virtual ~WorkerUpstreams() = default;
  // The cluster that stands in the slot, nullptr if there is none. The pointer is good for this turn, or while held.
  virtual WorkerCluster* find(const cluster::ClusterSlot& slot) = 0;
  // The same by name, for what names its cluster only when it comes.
  virtual WorkerCluster* find(std::string_view name) = 0;
  // From now on this cluster stands in the slot; nullptr: none does. The one before has its idle connections closed
  // now, others with their last exchange. Who holds it is served still; nothing is kept open after that.
  virtual void assign(const cluster::ClusterSlot& slot, cluster::ClusterPtr cluster) = 0;
  // The endpoints of the cluster in the slot changed: connections to hosts that went end as by assign(). Without this
  // call they do when the next host is chosen.
  virtual void drop_lost_hosts(const cluster::ClusterSlot& slot) = 0;
  // Graceful end: idle connections close now, others with their last exchange.
  virtual void drain() = 0;
  virtual size_t open_connections() const = 0;
};

// `worker` indexes per-worker metrics.
std::unique_ptr<WorkerUpstreams> make_worker_upstreams(event::Loop& loop, base::Random& random, uint32_t worker);

}  // namespace weft::pool
