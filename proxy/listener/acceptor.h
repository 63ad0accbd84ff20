#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/event/loop.h"
#include "proxy/listener/connection_limit.h"
#include "proxy/listener/directory.h"
#include "proxy/listener/filter_chain_matcher.h"
#include "proxy/listener/listen_sockets.h"
#include "proxy/observe/stats.h"
#include "proxy/snapshot/connection_handler.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/plain_stream.h"
#include "proxy/transport/socket.h"

// One worker's side of a listener: accepts, restores addresses, detects the protocol, chooses the filter chain, does
// the TLS handshake, and hands the connection to the handler of its kind. A changed listener gets a new acceptor, which
// may take over the sockets of the old one once that has stopped; connections of the old one live on. Owned by the
// worker, on its thread.

namespace weft::listener {

// What all workers' acceptors of one listener share.
struct SharedListener {
  std::shared_ptr<const snapshot::Listener> listener;
  std::shared_ptr<const FilterChainMatcher> matcher;
  std::shared_ptr<ConnectionLimit> connections;         // listener->max_connections
  std::shared_ptr<ConnectionLimit> global_connections;  // Of the process.
};
// Fails as FilterChainMatcher::build().
// `before`: what it replaces, whose connections go on to count; or nullptr.
absl::StatusOr<std::shared_ptr<const SharedListener>> make_shared_listener(
    std::shared_ptr<const snapshot::Listener> listener, std::shared_ptr<ConnectionLimit> global_connections,
    const SharedListener* before = nullptr);

class PendingConnection;
class WorkerLedger;

class Acceptor {
 public:
  struct Handlers {
    snapshot::ConnectionHandler& http;
    snapshot::ConnectionHandler& tcp;
  };
  // `sockets`: this worker's; none for a listener that is not bound. Accepts from the next turn on; nobody else on this
  // worker does from these sockets. It stands in `directory` until stop(), which outlives it; nullptr: in none, and
  // hands nothing off.
  Acceptor(event::LibeventLoop& loop, uint32_t worker, std::shared_ptr<const SharedListener> shared,
           std::vector<ListenSocket> sockets, Handlers handlers, Directory* directory = nullptr);
  // Connections still in protocol detection or handshake are closed.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Accepts no more and lets the listening sockets go. What was accepted goes on.
  void stop();

  const snapshot::Listener& listener() const { return *shared_->listener; }
  // Accepted connections that are not yet handed over.
  size_t pending_connections() const { return pending_count_; }

 private:
  friend class PendingConnection;
  friend class WorkerLedger;
  struct Socket final : event::IoEvents {
    Acceptor* acceptor = nullptr;
    ListenSocket fd;
    transport::Address bound;
    transport::Address known_local;  // Family kNone when bound to all addresses.
    uint32_t batch = 1;
    event::IoWatch watch;
    void on_io(bool, bool) override { acceptor->accept_some(*this); }
  };

  void accept_some(Socket& socket);
  void accepted(const Socket& socket, transport::Descriptor fd, const transport::Address& peer);
  // Reads where the connection was going before it was brought to this socket.
  void restore_destination(const Socket& socket, transport::PlainStream& plain) const;
  // Of this listener or of one that handed it off.
  void take(std::unique_ptr<transport::PlainStream> plain);
  void take_counted(std::unique_ptr<transport::PlainStream> plain);
  bool inspects_tls(const transport::Address& destination) const;
  bool inspects_http(const transport::Address& destination) const;
  // Out of descriptors or memory: no accepting until a connection closes, or for a short time.
  void pause(int error);
  void resume();
  // The chain that takes the connection, or nullptr after counting that none does.
  std::shared_ptr<const snapshot::FilterChain> choose_chain(const ConnectionFacts& facts);
  // Of a connection that ends without being handed over.
  void log_end(const transport::ByteStream& stream, const snapshot::FilterChain* chain, http::Cause cause,
               int64_t accepted_ns);
  // `upstream`: of a connection that was begun for this chain; else nullptr.
  void hand_over(std::unique_ptr<transport::ByteStream> stream, const snapshot::FilterChain& chain, base::Buffer early,
                 snapshot::ConnectionTicket ticket, std::unique_ptr<snapshot::EarlyUpstream> upstream = nullptr);

  event::LibeventLoop& loop_;
  const uint32_t worker_;
  std::shared_ptr<const SharedListener> shared_;
  Handlers handlers_;
  Directory* directory_;
  observe::ListenerStats& stats_;
  std::shared_ptr<WorkerLedger> ledger_;
  bool needs_proxy_header_ = false;
  bool paused_ = false;
  event::Timer resume_timer_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  base::IntrusiveList<PendingConnection, PendingConnection> pending_;
  size_t pending_count_ = 0;
};

}  // namespace weft::listener
