#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "proxy/base/buffer.h"
#include "proxy/base/callback.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/transport/byte_stream.h"

// How the listener hands a new connection to what serves it: stream/ for HTTP, tcp/ for the rest. One handler of each
// kind per worker, on its thread.

namespace weft::snapshot {

// Who counts a listener's open connections and keeps its configuration alive while they last.
class ConnectionLedger {
 public:
  virtual ~ConnectionLedger() = default;
  virtual void on_connection_closed(int64_t accepted_ns) = 0;
};

// Goes with a connection from accept to its end; its destruction takes the connection out of the listener's counts. As
// long as it lives, so do the Listener and the FilterChain that came with it. Destroy it on the worker's thread.
class ConnectionTicket {
 public:
  ConnectionTicket() = default;
  ConnectionTicket(std::shared_ptr<ConnectionLedger> ledger, std::shared_ptr<const FilterChain> chain,
                   int64_t accepted_ns)
      : ledger_(std::move(ledger)), chain_(std::move(chain)), accepted_ns_(accepted_ns) {}
  ConnectionTicket(ConnectionTicket&& other) noexcept
      : ledger_(std::move(other.ledger_)), chain_(std::move(other.chain_)), accepted_ns_(other.accepted_ns_) {}
  ConnectionTicket& operator=(ConnectionTicket&& other) noexcept {
    release();
    ledger_ = std::move(other.ledger_);
    chain_ = std::move(other.chain_);
    accepted_ns_ = other.accepted_ns_;
    return *this;
  }
  ~ConnectionTicket() { release(); }

  // The loop's time when the connection was accepted.
  int64_t accepted_ns() const { return accepted_ns_; }
  void set_chain(std::shared_ptr<const FilterChain> chain) { chain_ = std::move(chain); }
  void release() {
    if (ledger_ != nullptr) ledger_->on_connection_closed(accepted_ns_);
    ledger_.reset();
    chain_.reset();
  }

 private:
  std::shared_ptr<ConnectionLedger> ledger_;
  std::shared_ptr<const FilterChain> chain_;
  int64_t accepted_ns_ = 0;
};

// A connection to an upstream that was begun before it was known who takes the downstream one. Destroying it gives the
// connection up.
class EarlyUpstream {
 public:
  virtual ~EarlyUpstream() = default;
};

class ConnectionHandler {
 public:
  // A connection whose transport is ready: any TLS handshake is done, addresses are final. The stream is not attached
  // to anybody's events; bytes that protocol detection read are in `early` and come before those still in the stream.
  // The references live as long as the ticket.
  virtual void on_connection(std::unique_ptr<transport::ByteStream> stream, const Listener& listener,
                             const FilterChain& chain, base::Buffer early, ConnectionTicket ticket) = 0;

  // Begins to connect to where this chain would send a connection with `info`, which both outlive it.
  // `on_first_bytes` comes once, in a later turn, when the upstream has sent something or closed. nullptr: a handler
  // that does nothing early.
  virtual std::unique_ptr<EarlyUpstream> connect_early(const FilterChain& /*chain*/,
                                                       const transport::ConnectionInfo& /*info*/,
                                                       base::Callback<void()> /*on_first_bytes*/) {
    return nullptr;
  }
  // As on_connection(), with what connect_early() of the same chain gave.
  virtual void on_connection_with(std::unique_ptr<EarlyUpstream> /*upstream*/,
                                  std::unique_ptr<transport::ByteStream> stream, const Listener& listener,
                                  const FilterChain& chain, base::Buffer early, ConnectionTicket ticket) {
    on_connection(std::move(stream), listener, chain, std::move(early), std::move(ticket));
  }

 protected:
  ~ConnectionHandler() = default;
};

}  // namespace weft::snapshot
