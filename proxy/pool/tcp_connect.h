#pragma once

#include <memory>
#include <string>

#include "proxy/pool/pool.h"

// One TCP connection being made for a TcpWaiter, within the cluster's connect timeout and breakers. Owned by itself;
// the list it is on knows which are under way. One thread.

namespace weft::pool {

class ClusterPools;

class TcpConnect final : public transport::ByteStream::Events,
                         public event::Deferred,
                         public base::ListNode<TcpConnect> {
 public:
  static void start(ClusterPools& owner, const cluster::HostPtr& host, TcpWaiter& waiter,
                    base::IntrusiveList<TcpConnect, TcpConnect>& list);
  TcpConnect(ClusterPools& owner, cluster::HostPtr host);
  ~TcpConnect() override;

  void give_up(http::Cause cause, std::string_view detail);

 private:
  void on_connected() override;
  void on_readable() override {}
  void on_writable() override {}
  void on_connect_failed() override;
  void on_timeout();
  TcpWaiter* take_waiter();
  void finish();

  ClusterPools& owner_;
  cluster::ClusterPtr cluster_;
  cluster::HostPtr host_;
  // At most one: a waiter that goes away unlinks itself.
  base::IntrusiveList<TcpWaiter, TcpWaiter> waiter_;
  std::unique_ptr<transport::ByteStream> stream_;
  event::Timer timer_;
  bool over_ = false;
};

}  // namespace weft::pool
