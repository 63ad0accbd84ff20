#pragma once

// Hands on what became of workloads: to their store, and to whoever makes the model of them. It does so on a thread of
// its own, since both may have to wait, for the disk or for a commit that is being made, and the thread that decides
// must not: what is ready goes out to proxies meanwhile. put() and post() on any thread; the rest is the owner's.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "control-plane/registry/workloads.h"
#include "control-plane/server/workload_store.h"

namespace weft::control::server {

class WorkloadKeeper {
 public:
  using OnWorkloads = std::function<void(const std::vector<registry::WorkloadChange>& changes)>;

  // The store outlives it, and from start() on belongs to it.
  explicit WorkloadKeeper(WorkloadStore& store) : store_(store) {}
  ~WorkloadKeeper() { stop(); }

  // `on_workloads` gets changes in the order of put(), several at once where it was slow; it may be null.
  void start(OnWorkloads on_workloads);
  void put(std::vector<registry::WorkloadChange> changes);
  // What else has to wait for the disk, after all that was put before.
  void post(std::function<void()> task);
  // Returns when all has been handed on.
  void stop();

 private:
  void run();
  void hand_on(const std::vector<registry::WorkloadChange>& changes);

  WorkloadStore& store_;
  OnWorkloads on_workloads_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<registry::WorkloadChange> waiting_;
  std::vector<std::function<void()>> tasks_;
  bool is_stopped_ = false;
  std::thread thread_;
};

}  // namespace weft::control::server
