#include "proxy/event/timer.h"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/event/loop.h"

namespace weft::event {
namespace {

struct Probe {
  Probe(TimerWheel& wheel) : wheel(wheel), timer(wheel, base::bind<&Probe::fire>(this)) {}
  void fire() {
    fired_at = wheel.now_ms();
    ++fired;
  }
  TimerWheel& wheel;
  Timer timer;
  int64_t expected = -1;
  int64_t fired_at = -1;
  int fired = 0;
};

TEST_CASE("every timer fires once, in the millisecond it was armed for, however it was moved") {
  base::Random random(11);
  TimerWheel wheel(1'000);
  std::vector<std::unique_ptr<Probe>> probes;
  for (int i = 0; i < 200; ++i) probes.push_back(std::make_unique<Probe>(wheel));
  int64_t now = 1'000;
  for (int step = 0; step < 5'000; ++step) {
    Probe& probe = *probes[random.below(probes.size())];
    uint64_t kind = random.below(4);
    if (kind == 0) {
      probe.timer.disarm();
      probe.expected = -1;
    } else {
      int64_t delay = static_cast<int64_t>(random.below(kind == 1 ? 20 : kind == 2 ? 2'000 : 200'000)) + 1;
      probe.timer.arm(delay);
      probe.expected = now + delay;
      probe.fired = 0;
    }
    now += static_cast<int64_t>(random.below(random.below(10) == 0 ? 3'000 : 8));
    wheel.advance(now);
    for (auto& each : probes) {
      if (each->expected >= 0 && each->expected <= now) {
        REQUIRE(each->fired == 1);
        REQUIRE(each->fired_at == each->expected);
        each->expected = -1;
        each->fired = 0;
      } else if (each->expected >= 0) {
        REQUIRE(each->fired == 0);
        REQUIRE(each->timer.armed());
      }
    }
  }
}

TEST_CASE("a timer armed in a turn counts from the turn's time, not from when the loop fell asleep") {
  TimerWheel wheel(1'000);
  Probe probe(wheel);
  wheel.begin_turn(1'500);
  probe.timer.arm(20);
  wheel.advance(1'500);
  REQUIRE(probe.fired == 0);
  wheel.advance(1'520);
  REQUIRE(probe.fired == 1);
  REQUIRE(probe.fired_at == 1'520);
}

TEST_CASE("the wait is never longer than to the next timer") {
  TimerWheel wheel(0);
  CHECK(wheel.wait_ms(500) == 500);
  Probe probe(wheel);
  probe.timer.arm(70'000);
  int64_t now = 0;
  while (probe.fired == 0) {
    int64_t wait = wheel.wait_ms(1'000'000);
    REQUIRE(wait > 0);
    now += wait;
    REQUIRE(now <= 70'000);
    wheel.advance(now);
  }
  CHECK(now == 70'000);
}

struct Task : TurnEndTask {
  void on_turn_end() override { ++runs; }
  int runs = 0;
};

TEST_CASE("a turn-end task asked for twice runs once a turn") {
  base::ManualClock clock;
  ManualLoop loop(clock);
  Task task;
  loop.at_turn_end(task);
  loop.at_turn_end(task);
  loop.turn();
  CHECK(task.runs == 1);
  loop.turn();
  CHECK(task.runs == 1);
}

}  // namespace
}  // namespace weft::event
