#pragma once

#include <memory>
#include <string>

#include "proxy/pool/worker_context.h"
#include "proxy/snapshot/connection_handler.h"

// The upstream connection of a session that may yet come: begun while the listener does not know who speaks first.
// Tells when the upstream did, and is given to the session when there is one. Owned by the one who awaits the session,
// then by the session; one thread.

namespace weft::tcp {

// By weight; nullptr: the proxy has no destination.
const cluster::ClusterSlot* choose_cluster(const snapshot::TcpProxy& config, base::Random& random);
// As a host is chosen for a connection with `info`.
pool::BalanceContext balance_context(const transport::ConnectionInfo& info);

class EarlyDial final : public snapshot::EarlyUpstream,
                        private pool::TcpWaiter,
                        private transport::ByteStream::Events,
                        private event::NextTurnTask {
 public:
  // What it found out for the session.
  struct Result {
    const cluster::ClusterSlot* slot = nullptr;
    cluster::ClusterPtr cluster;
    cluster::HostPtr host;
    std::unique_ptr<transport::ByteStream> stream;  // Connected; nullptr while it is not.
    bool failed = false;
    http::Cause cause = http::Cause::kNone;
    std::string detail;
  };

  EarlyDial(pool::WorkerContext& context, const snapshot::TcpProxy& config, const transport::ConnectionInfo& info,
            base::Callback<void()> on_first_bytes);

  // Nothing is told to who began it any more. While it still connects, `waiter` is told what comes of it, once.
  Result give_to(pool::TcpWaiter& waiter);

 private:
  void on_tcp_ready(std::unique_ptr<transport::ByteStream> stream, cluster::Host& host) override;
  void on_tcp_failed(http::Cause cause, std::string_view detail) override;
  void on_connected() override {}
  void on_readable() override { context_.loop.at_next_turn(*this); }
  void on_writable() override {}
  void on_connect_failed() override {}
  void on_next_turn() override;

  pool::WorkerContext& context_;
  base::Callback<void()> on_first_bytes_;
  Result result_;
  pool::TcpWaiter* waiter_ = nullptr;
};

}  // namespace weft::tcp
