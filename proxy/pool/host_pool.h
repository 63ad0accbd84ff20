#pragma once

#include "proxy/base/intrusive_list.h"
#include "proxy/pool/connection.h"
#include "proxy/pool/pool.h"

// A worker's connections to one host of one cluster, and those who wait for one. The last connection that became idle
// is used first, so that what is not needed ages out. Owned by the WorkerCluster; one thread.

namespace weft::pool {

class ClusterPools;

class HostPool : public base::ListNode<HostPool> {
 public:
  // `protocol`: kHttp1, kHttp2, or kAuto for what ALPN says.
  HostPool(ClusterPools& owner, cluster::HostPtr host, cluster::UpstreamProtocol protocol);
  ~HostPool();

  void acquire(StreamWaiter& waiter);
  void drain();
  // Starts connections for waiters that none is being made for.
  void connect_as_needed();

  ClusterPools& owner() { return owner_; }
  cluster::Host& host() { return *host_; }
  cluster::UpstreamProtocol protocol() const { return protocol_; }
  bool unused() const { return connections_ == 0 && waiters_.empty(); }
  size_t connections() const { return connections_; }

 private:
  friend class Connection;

  // From the connections.
  void on_connected(Connection& connection);
  void on_stream_closed(Connection& connection);  // Perhaps it can take another.
  void on_connect_failed(Connection& connection, http::Cause cause, std::string_view detail);
  void on_ended(Connection& connection);

  void give(Connection& connection, StreamWaiter& waiter);
  void serve_waiters(Connection& connection);
  bool start_connection();
  // How many wait; counts no further than `most`.
  size_t waiting(size_t most);
  void place(Connection& connection);
  void set_aside(Connection& connection);
  uint32_t streams_per_connection() const;
  void take_waiter(StreamWaiter& waiter);
  void fail_waiters(http::Cause cause, std::string_view detail, size_t most);

  ClusterPools& owner_;
  cluster::HostPtr host_;
  cluster::UpstreamProtocol protocol_;
  base::IntrusiveList<Connection, Connection> ready_;  // Can take an exchange now; last used first.
  base::IntrusiveList<Connection, Connection> busy_;   // Cannot: full, or closing.
  base::IntrusiveList<Connection, Connection> connecting_;
  base::IntrusiveList<StreamWaiter, StreamWaiter> waiters_;
  size_t connections_ = 0;
  size_t connecting_count_ = 0;
  uint32_t streams_seen_ = 1;  // What the last HTTP/2 peer allowed at once.
};

}  // namespace weft::pool
