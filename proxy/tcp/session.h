#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/event/loop.h"
#include "proxy/event/timer.h"
#include "proxy/http/cause.h"
#include "proxy/observe/hop_reporter.h"
#include "proxy/pool/worker_context.h"
#include "proxy/snapshot/connection_handler.h"
#include "proxy/tcp/early_dial.h"
#include "proxy/tcp/relay.h"
#include "proxy/tcp/worker.h"

// One downstream connection of the TCP proxy and its upstream: chooses a cluster and a host, connects, relays both
// ways, and ends with a metric and an access log record. A member of its worker's list; freed at the end of the turn in
// which it ended.

namespace weft::tcp {

class Session final : public base::ListNode<Session>,
                      public event::Deferred,
                      private pool::TcpWaiter,
                      private event::NextTurnTask {
 public:
  Session(Worker& worker, std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
          const snapshot::FilterChain& chain, base::Buffer early, snapshot::ConnectionTicket ticket);
  ~Session() override;

  // Chooses an upstream and connects; or goes on with a connection that was begun.
  void start(std::unique_ptr<EarlyDial> dial = nullptr);
  const snapshot::FilterChain& chain() const { return chain_; }
  // Ends it from our side.
  void close(http::Cause cause);

 private:
  // The events of one of the two streams.
  struct Side final : transport::ByteStream::Events {
    Session* session = nullptr;
    Relay* out = nullptr;  // From this side's stream.
    Relay* in = nullptr;   // To it.
    void on_connected() override {}
    void on_readable() override;
    void on_writable() override;
    void on_connect_failed() override {}
  };
  enum class Step : uint8_t { kConnecting, kRetry, kRelaying, kEnded };

  void on_tcp_ready(std::unique_ptr<transport::ByteStream> stream, cluster::Host& host) override;
  void on_tcp_failed(http::Cause cause, std::string_view detail) override;
  void on_next_turn() override;
  void on_idle();
  void on_max_duration();

  void take_over(std::unique_ptr<EarlyDial> dial);
  void try_connect();
  void move();
  // Handles how one direction stopped; false when the session ended with it.
  bool settle(Relay::State state, Relay& relay, transport::ByteStream& from, transport::ByteStream& to);
  void end(http::Cause cause, transport::ByteStream::CloseKind kind);
  void log_access();
  // Who is at both ends, as far as it is known by now. Only where hops are measured.
  observe::TcpHop hop() const;
  // Counts what moved since the last time.
  void count_moved();
  void count_closed();

  Worker& worker_;
  std::shared_ptr<const snapshot::TcpProxy> config_;
  observe::TcpStats& stats_;
  snapshot::ConnectionTicket ticket_;
  const snapshot::Listener& listener_;
  const snapshot::FilterChain& chain_;
  uint64_t id_;
  Step step_ = Step::kConnecting;
  std::unique_ptr<transport::ByteStream> downstream_;
  std::unique_ptr<transport::ByteStream> upstream_;
  base::Buffer early_;
  const cluster::ClusterSlot* slot_ = nullptr;  // Of config_.
  cluster::ClusterPtr cluster_;                 // Of the last try.
  cluster::HostPtr host_;
  std::vector<cluster::HostPtr> tried_;
  std::unique_ptr<EarlyDial> dial_;  // While it connects.
  uint32_t attempts_ = 0;
  Side downstream_side_, upstream_side_;
  Relay to_upstream_, to_downstream_;
  event::Timer idle_timer_;
  event::Timer duration_timer_;
  bool flushing_ = false;  // Counted in upstream_flush_active.
  http::Cause cause_ = http::Cause::kNone;
  std::string detail_;
  int64_t start_ns_;
  int64_t start_wall_ns_;
  int64_t upstream_connected_ns_ = 0;
  // For the metrics of hops.
  std::shared_ptr<const observe::ConnectionPrincipals> downstream_principals_, upstream_principals_;
  uint64_t counted_up_bytes_ = 0, counted_down_bytes_ = 0;
  bool opened_ = false;
};

}  // namespace weft::tcp
