#pragma once

#include <string>
#include <tuple>

#include "proxy/base/intrusive_list.h"
#include "proxy/pool/connection.h"
#include "proxy/pool/pool.h"

// A worker's connections to one host of one cluster, and those who wait for one. The last connection that became idle
// is used first, so that what is not needed ages out. A retired pool keeps no idle connection, and goes once it has
// none at all. Owned by its ClusterPools, and keeps the cluster alive; one thread.

namespace weft::pool {

class ClusterPools;

// What the connections of a pool speak.
enum class PoolProtocol : uint8_t { kHttp1, kHttp2, kAuto /* as ALPN says */, kTunnel /* no HTTP: raw bytes */ };

class HostPool : public base::ListNode<HostPool> {
 public:
  // `server_name`: for clusters that take it from the request; else empty.
  using Key = std::tuple<const cluster::Host*, PoolProtocol, cluster::Priority, std::string>;

  HostPool(ClusterPools& owner, cluster::HostPtr host, PoolProtocol protocol, cluster::Priority priority,
           std::string_view server_name);
  ~HostPool();

  void acquire(StreamWaiter& waiter);
  void drain();
  // Its host or cluster was removed: idle connections close now, others with their last exchange. Who waits is served.
  void retire();
  void take_back() { retired_ = false; }
  bool retired() const { return retired_; }
  // Starts connections for waiters that none is being made for.
  void connect_as_needed();

  ClusterPools& owner() { return owner_; }
  Key key() const { return {host_.get(), protocol_, priority_, server_name_}; }
  const std::string& server_name() const { return server_name_; }
  // A pool of a name goes when it is empty: the names come from clients, and may be many.
  bool passing() const { return retired_ || !server_name_.empty(); }
  cluster::Host& host() { return *host_; }
  PoolProtocol protocol() const { return protocol_; }
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
  // nullptr: none that this connection may serve.
  StreamWaiter* next_waiter(const Connection& connection);
  bool start_connection();
  // How many wait; counts no further than `most`.
  size_t waiting(size_t most);
  void place(Connection& connection);
  void set_aside(Connection& connection);
  // How many streams a connection being made is expected to take at once.
  uint32_t streams_per_connection();
  void learn_streams(const Connection& connection);
  cluster::Breakers& breakers();
  void take_waiter(StreamWaiter& waiter);
  void fail_waiters(http::Cause cause, std::string_view detail, size_t most);

  ClusterPools& owner_;
  cluster::ClusterPtr cluster_;
  cluster::HostPtr host_;
  PoolProtocol protocol_;
  cluster::Priority priority_;  // Whose breakers bound it.
  std::string server_name_;
  base::IntrusiveList<Connection, Connection> ready_;  // Can take an exchange now; last used first.
  base::IntrusiveList<Connection, Connection> busy_;   // Cannot: full, or closing.
  base::IntrusiveList<Connection, Connection> connecting_;
  base::IntrusiveList<StreamWaiter, StreamWaiter> waiters_;
  size_t connections_ = 0;
  size_t connecting_count_ = 0;
  uint32_t peer_streams_ = 0;  // What the last connection's peer allowed at once; 0: not known yet.
  bool retired_ = false;
};

}  // namespace weft::pool
