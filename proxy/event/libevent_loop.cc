#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/assert.h"
#include "proxy/event/loop.h"

namespace weft::event {
namespace {

// The longest a loop sleeps with nothing to do; wake() ends it at once.
constexpr int64_t kLongestWaitMs = 60'000;

void drain_wake_fd(int fd, short, void*) {
  uint64_t count;
  while (read(fd, &count, sizeof(count)) > 0) {
  }
}

void forget_wait(int, short, void* waiting_until_ms) { *static_cast<int64_t*>(waiting_until_ms) = 0; }

}  // namespace

LibeventLoop::LibeventLoop(base::Clock& clock) : Loop(clock) {
  struct event_config* config = event_config_new();
  // No change list: it would tell epoll of a descriptor's end when its number may already be another thread's.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_require_features(config, EV_FEATURE_ET);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  WEFT_ASSERT(base_ != nullptr);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  WEFT_ASSERT(wake_fd_ >= 0);
  event_assign(&wake_event_, base_, wake_fd_, EV_READ | EV_PERSIST | EV_ET, drain_wake_fd, nullptr);
  event_add(&wake_event_, nullptr);
}

LibeventLoop::~LibeventLoop() {
  event_del(&wake_event_);
  event_base_free(base_);
  close(wake_fd_);
}

void LibeventLoop::wake() {
  uint64_t one = 1;
  // The counter cannot overflow; a full one would still wake the loop.
  (void)!write(wake_fd_, &one, sizeof(one));
}

void LibeventLoop::run() {
  // libevent itself is given no timers but this one, which bounds its wait for the wheel's sake. It may fire a few
  // milliseconds early, by libevent's coarse clock; the rest of the wait then needs it again.
  struct event wait_event;
  int64_t waiting_until_ms = 0;
  event_assign(&wait_event, base_, -1, 0, forget_wait, &waiting_until_ms);
  // What was asked for before is not kept until the first event.
  read_clock();
  finish_turn();
  while (!stopping_.load(std::memory_order_acquire)) {
    int64_t wait_ms = has_work() ? 0 : timers().wait_ms(kLongestWaitMs);
    int flags = EVLOOP_ONCE;
    if (wait_ms == 0) {
      flags |= EVLOOP_NONBLOCK;
    } else if (int64_t until_ms = timers().now_ms() + wait_ms;
               until_ms < waiting_until_ms || waiting_until_ms <= timers().now_ms()) {
      struct timeval wait = {wait_ms / 1000, static_cast<suseconds_t>((wait_ms % 1000) * 1000)};
      event_add(&wait_event, &wait);
      waiting_until_ms = until_ms;
    }
    clock_read_ = false;
    event_base_loop(base_, flags);
    note_event();
    finish_turn();
  }
  event_del(&wait_event);
  // run() may be called again.
  stopping_.store(false, std::memory_order_release);
}

void LibeventLoop::run_until_quiet() {
  constexpr int kMostTurns = 1000;
  for (int i = 0; i < kMostTurns && (i == 0 || has_work() || has_turn_end_work()); ++i) finish_turn();
}

void LibeventLoop::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
}

void IoWatch::on_event(int, short what, void* context) {
  auto* watch = static_cast<IoWatch*>(context);
  watch->loop_->note_event();
  if ((what & EV_CLOSED) != 0) watch->events_->on_peer_end();
  watch->events_->on_io((what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

void IoWatch::assign(LibeventLoop& loop, int fd, IoEvents& events, short interest) {
  WEFT_ASSERT(!started());
  loop_ = &loop;
  events_ = &events;
  event_assign(&event_, loop.base(), fd, interest, on_event, this);
  WEFT_ASSERT(event_add(&event_, nullptr) == 0);
}

void IoWatch::start(LibeventLoop& loop, int fd, IoEvents& events) {
  assign(loop, fd, events, EV_READ | EV_WRITE | EV_CLOSED | EV_PERSIST | EV_ET);
}

void IoWatch::start_level(LibeventLoop& loop, int fd, IoEvents& events, bool read, bool write) {
  short interest = EV_PERSIST;
  if (read) interest |= EV_READ;
  if (write) interest |= EV_WRITE;
  assign(loop, fd, events, interest);
}

void IoWatch::stop() {
  if (!started()) return;
  event_del(&event_);
  events_ = nullptr;
}

}  // namespace weft::event
