#include "proxy/event/rounds.h"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <thread>

namespace weft::event {
namespace {

struct Fixture {
  Rounds& make(size_t others) {
    std::vector<Loop*> loops;
    for (size_t i = 0; i < others; ++i) {
      workers.push_back(std::make_unique<ManualLoop>(clock));
      loops.push_back(workers.back().get());
    }
    return rounds.emplace(home, std::move(loops));
  }
  void start(const std::string& name) {
    rounds->start([this, name] { ended += name; });
  }

  base::ManualClock clock;
  ManualLoop home{clock};
  std::vector<std::unique_ptr<ManualLoop>> workers;
  std::optional<Rounds> rounds;
  std::string ended;
};

}  // namespace

TEST_CASE("a round ends when every loop has done what was posted to it before") {
  Fixture f;
  f.make(2);
  std::string done;
  for (auto& worker : f.workers) worker->post([&] { done += "w"; });
  f.rounds->start([&] { f.ended = done; });
  f.home.turn();
  f.workers[1]->turn();
  f.home.turn();
  CHECK(f.ended.empty());
  f.workers[0]->turn();
  CHECK(f.ended.empty());
  f.home.turn();
  CHECK(f.ended == "ww");
}

TEST_CASE("rounds end in their order") {
  Fixture f;
  f.make(2);
  f.start("a");
  f.workers[0]->turn();
  f.start("b");
  f.workers[0]->turn();
  f.home.turn();
  CHECK(f.ended.empty());
  f.workers[1]->turn();
  f.home.turn();
  CHECK(f.ended == "ab");
}

TEST_CASE("a round through no loops ends in the next turn") {
  Fixture f;
  f.make(0);
  f.start("a");
  CHECK(f.ended.empty());
  f.home.turn();
  CHECK(f.ended == "a");
}

TEST_CASE("a round that its owner did not live to see tells nobody") {
  Fixture f;
  f.make(1);
  f.start("a");
  f.workers[0]->turn();
  f.rounds.reset();
  f.home.turn();
  CHECK(f.ended.empty());
}

TEST_CASE("a round that a loop has not answered goes with that loop") {
  Fixture f;
  f.make(2);
  f.start("a");
  f.workers[0]->turn();
  f.workers.clear();
  f.home.turn();
  CHECK(f.ended.empty());
}

TEST_CASE("rounds go through loops of other threads") {
  LibeventLoop home(base::system_clock()), first(base::system_clock()), second(base::system_clock());
  Rounds rounds(home, {&first, &second});
  int ended = 0, seen = 0, posted[2] = {};
  constexpr int kRounds = 200;
  std::function<void()> next = [&] {
    seen += posted[0] == ended && posted[1] == ended;
    if (ended == kRounds) return home.stop();
    ++ended;
    first.post([&] { ++posted[0]; });
    second.post([&] { ++posted[1]; });
    rounds.start(next);
  };
  home.post(next);
  std::thread one([&] { first.run(); }), two([&] { second.run(); });
  home.run();
  first.stop();
  second.stop();
  one.join();
  two.join();
  CHECK(seen == kRounds + 1);
}

}  // namespace weft::event
