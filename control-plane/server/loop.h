#pragma once

// The control plane's one thread that decides: it polls gRPC's completion queue, and between what comes by that it runs
// tasks, in the order in which they were posted, and whatever is due by the clock. It should be the only thread of the
// process that polls gRPC: of several, gRPC hands the polling to the next after each event. post() and stop() from any
// thread; the rest is for the thread that runs.

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "control-plane/base/clock.h"
#include "control-plane/xds/completion.h"

namespace weft::control::server {

class Loop {
 public:
  explicit Loop(base::Clock& clock) : clock_(clock) {}

  // Until the loop runs, tasks wait for it. `latest_ms`, of the clock: it need not be woken for the task if it wakes by
  // then for something else.
  void post(std::function<void()> task, int64_t latest_ms = 0);

  // The tags of `queue` are xds::Completions. After each of them, and the tasks that have come, `idle` is called with
  // the time; it returns when it wants to be called at the latest, or nothing. After stop() it goes on until `is_over`
  // says that nobody begins anything more on the queue; returns when that is empty and all tasks have run.
  void run(grpc::CompletionQueue& queue, const std::function<std::optional<int64_t>(int64_t now_ms)>& idle,
           const std::function<bool()>& is_over);
  // The server to which the queue belongs has been shut down.
  void stop();

  int64_t now_ms() { return clock_.monotonic_ms(); }

 private:
  void wake();
  void run_tasks();
  gpr_timespec begin_wait(std::optional<int64_t> due_ms, int64_t now_ms, const std::function<bool()>& is_over);

  base::Clock& clock_;
  std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;
  // Null while it does not run, and once the queue has been shut down.
  grpc::CompletionQueue* queue_ = nullptr;
  bool is_stopped_ = false;
  // The alarm is set, and its tag has not come yet.
  bool is_woken_ = false;
  // When it wakes by itself; 0 while it is awake, and will look for tasks before it waits.
  int64_t wakes_at_ms_ = 0;
  grpc::Alarm alarm_;
  struct Woken final : xds::Completion {
    explicit Woken(Loop& loop) : loop(loop) {}
    void done(bool) override {
      const std::lock_guard lock(loop.mutex_);
      loop.is_woken_ = false;
    }
    Loop& loop;
  };
  Woken woken_{*this};
};

}  // namespace weft::control::server
