#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "proxy/base/clock.h"
#include "proxy/event/loop.h"

namespace weft::event {
namespace {

// One timer after the other on a loop that has nothing else to wake it.
struct Chain {
  explicit Chain(LibeventLoop& loop) : loop(loop), timer(loop.timers(), base::bind<&Chain::fire>(this)) {}
  void arm_next() {
    armed_at_ms = loop.clock().monotonic_ns() / 1'000'000;
    delay_ms = fired % 30 + 1;
    timer.arm(delay_ms);
  }
  void fire() {
    early = early || loop.clock().monotonic_ns() / 1'000'000 < armed_at_ms + delay_ms - 1;
    if (++fired == 90) return loop.stop();
    arm_next();
  }
  LibeventLoop& loop;
  Timer timer;
  int64_t armed_at_ms = 0;
  int64_t delay_ms = 0;
  int fired = 0;
  bool early = false;
};

TEST_CASE("a timer fires though nothing else wakes the loop, and though libevent's coarse clock wakes it too soon") {
  LibeventLoop loop(base::system_clock());
  Chain chain(loop);
  std::promise<void> done;
  // A wait that is lost lasts for ever: this ends it.
  std::thread guard([&loop, ended = done.get_future()] {
    if (ended.wait_for(std::chrono::seconds(30)) == std::future_status::timeout) loop.stop();
  });
  chain.arm_next();
  loop.run();
  done.set_value();
  guard.join();
  REQUIRE(chain.fired == 90);
  REQUIRE_FALSE(chain.early);
}

TEST_CASE("what is put off to the next turn before the loop runs does not wait for an event") {
  struct Task final : NextTurnTask {
    explicit Task(LibeventLoop& loop) : loop(loop), timer(loop.timers(), base::bind<&Task::late>(this)) {}
    void on_next_turn() override {
      ran = true;
      loop.stop();
    }
    void late() { loop.stop(); }
    LibeventLoop& loop;
    Timer timer;
    bool ran = false;
  };
  LibeventLoop loop(base::system_clock());
  Task task(loop);
  loop.at_next_turn(task);
  task.timer.arm(5'000);
  loop.run();
  REQUIRE(task.ran);
  REQUIRE(task.timer.armed());
}

}  // namespace
}  // namespace weft::event
