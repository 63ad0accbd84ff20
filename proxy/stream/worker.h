#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/event/timer.h"
#include "proxy/forward/shadow.h"
#include "proxy/pool/worker_context.h"
#include "proxy/snapshot/connection_handler.h"
#include "proxy/snapshot/retired_chains.h"

// A worker's HTTP side: takes connections from the listeners, keeps them until they end, and drains them. One per
// worker, on its thread.

namespace weft::stream {

class Connection;
class Exchange;

class Worker final : public snapshot::ConnectionHandler {
 public:
  explicit Worker(pool::WorkerContext& context);
  ~Worker();

  void on_connection(std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
                     const snapshot::FilterChain& chain, base::Buffer early,
                     snapshot::ConnectionTicket ticket) override;

  // No connection gets another request: HTTP/1 answers say `connection: close`, HTTP/2 gets GOAWAY, idle ones close.
  void drain();
  // As drain() for the connections of these chains only, and gently: what a client may just have sent on an idle one is
  // still answered. New connections of theirs end alike, until forget().
  void retire(std::shared_ptr<const snapshot::RetiredChains> chains);
  // Ends those that are still open.
  void close(const snapshot::RetiredChains& chains);
  bool has_connections(const snapshot::RetiredChains& chains);
  void forget(const snapshot::RetiredChains& chains);
  // Ends what is still open.
  void close_all();
  bool draining() const { return draining_; }
  size_t open_connections() const { return open_connections_; }

  pool::WorkerContext& context() { return context_; }
  uint64_t next_connection_id() { return ++last_connection_id_; }
  // The Date header's value for this turn (RFC 9110, 5.6.7); rendered once a second.
  std::string_view date();

  // Exchanges are recycled, so that a request costs no allocation.
  Exchange* take_exchange();
  void give_exchange(Exchange* exchange);
  // From now on requests whose connection manager names this slot go by `table`; nullptr: none of them has a route.
  void assign_routes(const route::RouteSlot& slot, std::shared_ptr<const route::RouteTable> table);
  // nullptr: nothing stands in the slot yet.
  std::shared_ptr<const route::RouteTable> routes_in(const route::RouteSlot& slot) const {
    return slot.index() < route_tables_.size() ? route_tables_[slot.index()] : nullptr;
  }
  // A copy of a request, which ends with the worker at the latest.
  void add_shadow(forward::Shadow& shadow) { shadows_.push_back(shadow); }
  void connection_closed() { --open_connections_; }

 private:
  static void retire(const snapshot::RetiredChains& chains, Connection& connection);

  pool::WorkerContext& context_;
  base::IntrusiveList<Connection, Connection> connections_;
  base::IntrusiveList<forward::Shadow, forward::Shadow> shadows_;
  std::vector<std::shared_ptr<const snapshot::RetiredChains>> retired_;
  std::vector<Exchange*> free_exchanges_;
  std::vector<std::shared_ptr<const route::RouteTable>> route_tables_;  // By the slots' numbers.
  size_t open_connections_ = 0;
  uint64_t last_connection_id_ = 0;
  bool draining_ = false;
  int64_t date_second_ = -1;
  char date_[32];
};

}  // namespace weft::stream
