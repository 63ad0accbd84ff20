#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/base/intrusive_list.h"
#include "proxy/pool/worker_context.h"
#include "proxy/snapshot/connection_handler.h"
#include "proxy/snapshot/retired_chains.h"

// A worker's side of the TCP proxy: takes connections whose filter chain is a TcpProxy and relays each to an upstream.
// One per worker, on its thread.

namespace weft::tcp {

class Session;

class Worker final : public snapshot::ConnectionHandler {
 public:
  explicit Worker(pool::WorkerContext& context);
  // Closes what is open.
  ~Worker();
  void on_connection(std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
                     const snapshot::FilterChain& chain, base::Buffer early,
                     snapshot::ConnectionTicket ticket) override;
  std::unique_ptr<snapshot::EarlyUpstream> connect_early(const snapshot::FilterChain& chain,
                                                         const transport::ConnectionInfo& info,
                                                         base::Callback<void()> on_first_bytes) override;
  void on_connection_with(std::unique_ptr<snapshot::EarlyUpstream> upstream,
                          std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
                          const snapshot::FilterChain& chain, base::Buffer early,
                          snapshot::ConnectionTicket ticket) override;

  // A relayed connection has no end of our own making: at the drain's deadline they are closed.
  void close_all();
  // The same for those of these chains.
  void close(const snapshot::RetiredChains& chains);
  bool has_connections(const snapshot::RetiredChains& chains);
  size_t open_connections() const { return open_connections_; }

 private:
  friend class Session;
  pool::WorkerContext& context_;
  base::IntrusiveList<Session, Session> sessions_;
  size_t open_connections_ = 0;
  uint64_t last_connection_id_ = 0;
};

}  // namespace weft::tcp
