#pragma once

#include <event2/event_struct.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/base/clock.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/event/timer.h"

// A worker's event loop. A turn is: wait for I/O, run its callbacks, run due timers and posted work, run the
// end-of-turn tasks (flushing what was written in this turn, one write per connection), free what was deferred. Time is
// read once a turn. All but post(), stop() and wake() are for the loop's own thread.

struct event_base;

namespace weft::event {

// Something that is to be destroyed at the end of the turn, never inside its own callback.
class Deferred : public base::ListNode<Deferred> {
 public:
  virtual ~Deferred() = default;
};

// Work that runs once at the end of the current turn, however often it is asked for. It may ask again; then it runs
// again within the same turn's end.
class TurnEndTask : public base::ListNode<TurnEndTask> {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnEndTask() = default;
};

// Work put off to the next turn, so that one busy connection does not keep the others waiting. I/O goes first.
class NextTurnTask : public base::ListNode<NextTurnTask> {
 public:
  virtual void on_next_turn() = 0;

 protected:
  ~NextTurnTask() = default;
};

class Loop {
 public:
  explicit Loop(base::Clock& clock);
  virtual ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The time of this turn.
  int64_t now_ns() const { return now_ns_; }
  int64_t now_ms() const { return now_ns_ / 1'000'000; }
  // Wall-clock time of this turn, nanoseconds since 1970.
  int64_t wall_ns() const { return now_ns_ + wall_offset_ns_; }
  base::Clock& clock() { return clock_; }
  TimerWheel& timers() { return timers_; }

  // Runs turns until stop().
  virtual void run() = 0;
  // Safe from any thread.
  virtual void stop() = 0;

  // Runs `work` in a later turn on the loop's thread. Safe from any thread; work posted by one thread keeps its order.
  void post(std::function<void()> work);

  void at_turn_end(TurnEndTask& task) {
    if (!task.linked()) turn_end_tasks_.push_back(task);
  }
  void at_next_turn(NextTurnTask& task) {
    if (!task.linked()) next_turn_tasks_.push_back(task);
  }
  // Takes ownership; deletes at the end of the turn, after the end-of-turn tasks.
  void destroy_later(std::unique_ptr<Deferred> object) { deferred_.push_back(*object.release()); }

 protected:
  virtual void wake() = 0;
  void read_clock();
  void run_posted();
  // Timers, posted work, end-of-turn tasks, deferred destruction.
  void finish_turn();
  bool has_turn_end_work() const { return !turn_end_tasks_.empty() || !deferred_.empty(); }
  // True if a turn should not wait for I/O.
  bool has_work() const { return has_posted() || !due_tasks_.empty(); }
  bool has_posted() const { return has_posted_.load(std::memory_order_acquire); }

 private:
  base::Clock& clock_;
  int64_t now_ns_;
  int64_t wall_offset_ns_;
  int64_t wall_read_ns_;
  TimerWheel timers_;
  base::IntrusiveList<TurnEndTask, TurnEndTask> turn_end_tasks_;
  base::IntrusiveList<NextTurnTask, NextTurnTask> next_turn_tasks_;
  base::IntrusiveList<NextTurnTask, NextTurnTask> due_tasks_;  // Those asked for in the turn before.
  base::IntrusiveList<Deferred, Deferred> deferred_;
  std::atomic<bool> has_posted_{false};
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

// A loop that a test or simulation turns by hand; no descriptors, time from a ManualClock.
class ManualLoop : public Loop {
 public:
  explicit ManualLoop(base::ManualClock& clock) : Loop(clock), manual_clock_(clock) {}
  void run() override { turn(); }
  void stop() override {}
  // One turn at the clock's present time.
  void turn();
  // Moves the clock on and turns, stopping at every timer on the way.
  void advance_ms(int64_t ms);

 private:
  void wake() override {}
  base::ManualClock& manual_clock_;
};

// The real one, on libevent (epoll).
class LibeventLoop : public Loop {
 public:
  explicit LibeventLoop(base::Clock& clock);
  ~LibeventLoop() override;
  void run() override;
  void stop() override;
  // After run(): ends of turns until nothing is left to flush or to destroy, without waiting for I/O.
  void run_until_quiet();
  struct event_base* base() { return base_; }

 private:
  friend class IoWatch;
  void wake() override;
  // The first event of a turn reads the clock, just after the wait.
  void note_event() {
    if (clock_read_) return;
    clock_read_ = true;
    read_clock();
    timers().begin_turn(now_ms());
  }
  bool clock_read_ = false;
  struct event_base* base_;
  int wake_fd_;
  struct event wake_event_;
  std::atomic<bool> stopping_{false};
};

// What became possible on a descriptor. Edge-triggered: read (or write) until the kernel has no more, or remember that
// it may have.
class IoEvents {
 public:
  // `readable` also covers end of stream and errors: the next read tells.
  virtual void on_io(bool readable, bool writable) = 0;
  // Before on_io(): the peer's end of stream is in the kernel, perhaps behind bytes still to be read. No other edge
  // will follow, so a short read does not mean that the kernel has nothing more to say. Edge-triggered watches only.
  virtual void on_peer_end() {}

 protected:
  ~IoEvents() = default;
};

// One descriptor's edge-triggered registration, for reading and writing at once: a single epoll_ctl in its life.
class IoWatch {
 public:
  IoWatch() = default;
  ~IoWatch() { stop(); }
  IoWatch(const IoWatch&) = delete;
  IoWatch& operator=(const IoWatch&) = delete;
  // `events` gets every edge until stop().
  void start(LibeventLoop& loop, int fd, IoEvents& events);
  // As start(), level-triggered and for reading only: listening sockets, signalfds, third-party descriptors.
  void start_level(LibeventLoop& loop, int fd, IoEvents& events, bool read, bool write);
  void stop();
  bool started() const { return events_ != nullptr; }

 private:
  void assign(LibeventLoop& loop, int fd, IoEvents& events, short interest);
  static void on_event(int fd, short what, void* context);
  struct event event_;
  LibeventLoop* loop_ = nullptr;
  IoEvents* events_ = nullptr;
};

}  // namespace weft::event
