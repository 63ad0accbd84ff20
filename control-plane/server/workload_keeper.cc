#include "control-plane/server/workload_keeper.h"

#include <iterator>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"

namespace weft::control::server {

void WorkloadKeeper::start(OnWorkloads on_workloads) {
  on_workloads_ = std::move(on_workloads);
  thread_ = std::thread([this] { run(); });
}

void WorkloadKeeper::put(std::vector<registry::WorkloadChange> changes) {
  if (changes.empty()) return;
  const std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
  arrived_.notify_one();
}

void WorkloadKeeper::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  arrived_.notify_one();
}

void WorkloadKeeper::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    arrived_.notify_one();
  }
  thread_.join();
}

void WorkloadKeeper::run() {
  while (true) {
    std::vector<registry::WorkloadChange> changes;
    std::vector<std::function<void()>> tasks;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [this] { return !waiting_.empty() || !tasks_.empty() || is_stopped_; });
      if (waiting_.empty() && tasks_.empty()) return;
      changes.swap(waiting_);
      tasks.swap(tasks_);
    }
    if (!changes.empty()) hand_on(changes);
    for (const std::function<void()>& task : tasks) task();
  }
}

void WorkloadKeeper::hand_on(const std::vector<registry::WorkloadChange>& changes) {
  if (const absl::Status saved = store_.save(changes); !saved.ok()) {
    base::log_warning(
        text::cat("workloads that are not kept are missed only after a restart of weft-control: ", saved.message()));
  }
  if (on_workloads_) on_workloads_(changes);
}

}  // namespace weft::control::server
