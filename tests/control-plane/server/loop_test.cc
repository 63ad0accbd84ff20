#include "control-plane/server/loop.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace weft::control::server {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// A loop that runs on a thread of its own, and is told by the test when it wants to be called.
struct Fixture {
  ~Fixture() {
    loop.stop();
    thread.join();
  }
  void start(std::optional<int64_t> first_due_ms = std::nullopt) {
    thread = std::thread([this, first_due_ms] {
      loop.run(
          queue,
          [this, first_due_ms](int64_t now_ms) {
            if (!first_due_ms.has_value() || now_ms >= *first_due_ms) return std::optional<int64_t>();
            return first_due_ms;
          },
          [] { return true; });
    });
  }
  // Posts, and waits until it has run; the time at which it did.
  int64_t run(int64_t latest_ms = 0) {
    std::promise<int64_t> ran;
    loop.post([&] { ran.set_value(loop.now_ms()); }, latest_ms);
    std::future<int64_t> at_ms = ran.get_future();
    REQUIRE(at_ms.wait_for(kPatience) == std::future_status::ready);
    return at_ms.get();
  }

  grpc::CompletionQueue queue;
  Loop loop{base::system_clock()};
  std::thread thread;
};

TEST_CASE("tasks run in the order in which they were posted, those from before the start and from tasks too") {
  Fixture f;
  std::vector<int> ran;
  f.loop.post([&] {
    ran.push_back(1);
    f.loop.post([&] { ran.push_back(3); });
  });
  f.loop.post([&] { ran.push_back(2); });
  f.start();
  f.run();
  f.run();
  CHECK(ran == std::vector<int>{1, 2, 3});
}

TEST_CASE("a loop that waits for nothing is woken for a task, however long that might wait") {
  Fixture f;
  f.start();
  f.run();
  f.run(f.loop.now_ms() + 3'600'000);
}

TEST_CASE("a task that may wait goes along when the loop wakes by itself; one that may not wakes it") {
  Fixture f;
  const int64_t due_ms = f.loop.now_ms() + 3'600'000;
  f.start(due_ms);
  f.run();
  bool is_run = false;
  f.loop.post([&] { is_run = true; }, due_ms);
  // Had the loop been woken for the one above, it would have run by itself; this one takes it along, in order.
  f.run();
  CHECK(is_run);
  CHECK(f.loop.now_ms() < due_ms);
}

TEST_CASE("a task that may wait is not run before the loop wakes") {
  Fixture f;
  const int64_t due_ms = f.loop.now_ms() + 1'000;
  f.start(due_ms);
  f.run();
  // It is awake for a moment yet, and would run the next one at once.
  while (f.loop.now_ms() < due_ms - 500) std::this_thread::yield();
  CHECK(f.run(due_ms + 3'600'000) >= due_ms);
}

TEST_CASE("who is stopped ends, and has run all tasks") {
  bool is_run = false;
  {
    Fixture f;
    f.start();
    f.run();
    f.loop.post([&] { is_run = true; }, INT64_MAX);
  }
  CHECK(is_run);
}

}  // namespace
}  // namespace weft::control::server
