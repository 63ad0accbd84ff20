#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/listener/acceptor.h"
#include "proxy/pool/worker_context.h"
#include "proxy/snapshot/retired_chains.h"
#include "proxy/snapshot/snapshot.h"
#include "proxy/stream/worker.h"
#include "proxy/tcp/worker.h"

// One worker: a thread with a loop of its own, its connections and its upstreams. Made and told what to do by the main
// thread; everything inside lives on its own.

namespace weft::server {

class WorkerThread {
 public:
  // `index` counts from 1; 0 is the main thread's, in metrics.
  WorkerThread(uint32_t index, base::Clock& clock, uint64_t seed);
  ~WorkerThread();

  using AccessLogs = std::vector<std::shared_ptr<observe::AccessLog>>;
  void start(AccessLogs access_logs);
  // To post to.
  event::Loop& loop() { return loop_; }
  // Each of these is posted to the worker and returns at once; they keep their order. What was posted before start() is
  // done first.
  void set_access_logs(AccessLogs access_logs);
  // Accepts for this listener, instead of the one of its name that it replaces. Connections of the chains in `retired`
  // end gracefully.
  void listen(std::shared_ptr<const listener::SharedListener> shared, std::vector<listener::ListenSocket> sockets,
              std::shared_ptr<snapshot::RetiredChains> retired);
  // Accepts no more for the listener of this name.
  void stop_listener(std::string name, std::shared_ptr<snapshot::RetiredChains> retired);
  // The time to end gracefully is over.
  void close_retired(std::shared_ptr<snapshot::RetiredChains> retired);
  void assign(cluster::ClusterSlotPtr slot, cluster::ClusterPtr cluster);
  void drop_lost_hosts(cluster::ClusterSlotPtr slot);
  void assign_routes(route::RouteSlotPtr slot, std::shared_ptr<const route::RouteTable> table);
  void stop_listeners();
  void drain();
  // Ends what is open, hands the logs' last lines over and ends the thread.
  void stop();
  void join();
  // As of a moment ago.
  size_t open_connections() const { return open_connections_.load(std::memory_order_relaxed); }

 private:
  struct State;  // What lives on the worker's thread.
  void run();

  uint32_t index_;
  event::LibeventLoop loop_;
  base::Random random_;
  AccessLogs access_logs_;
  std::unique_ptr<State> state_;
  std::atomic<size_t> open_connections_{0};
  std::thread thread_;
};

}  // namespace weft::server
