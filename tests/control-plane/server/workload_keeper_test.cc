#include "control-plane/server/workload_keeper.h"

#include <catch2/catch.hpp>
#include <future>
#include <string>

namespace weft::control::server {
namespace {

registry::WorkloadChange change(const std::string& node) {
  registry::Workload out;
  out.name = {.namespace_name = "shop", .service = "cart", .node = node};
  return {out.name, out};
}

TEST_CASE("who tells of workloads does not wait for a commit that is being made, and all is handed on in order") {
  const auto store = WorkloadStore::open(":memory:");
  REQUIRE(store.ok());
  std::promise<void> is_asked;
  std::promise<void> may_go_on;
  std::vector<std::string> nodes;
  WorkloadKeeper keeper(**store);
  keeper.start([&, is_first = true](const std::vector<registry::WorkloadChange>& changes) mutable {
    for (const registry::WorkloadChange& each : changes) nodes.push_back(each.name.node);
    if (!std::exchange(is_first, false)) return;
    is_asked.set_value();
    may_go_on.get_future().wait();
  });
  keeper.put({change("one")});
  is_asked.get_future().wait();
  // Whoever makes the model is stuck; these return all the same.
  keeper.put({change("two")});
  keeper.put({change("three"), change("four")});
  may_go_on.set_value();
  keeper.stop();
  CHECK(nodes == std::vector<std::string>{"one", "two", "three", "four"});
  const auto known = (*store)->load();
  REQUIRE(known.ok());
  CHECK(known->size() == 4);
}

TEST_CASE("what else waits for the disk is done after the workloads that were put before, and before the end") {
  const auto store = WorkloadStore::open(":memory:");
  REQUIRE(store.ok());
  std::vector<std::string> done;
  WorkloadKeeper keeper(**store);
  keeper.start([&](const std::vector<registry::WorkloadChange>& changes) { done.push_back(changes[0].name.node); });
  keeper.put({change("one")});
  keeper.post([&] { done.push_back("task"); });
  keeper.stop();
  CHECK(done == std::vector<std::string>{"one", "task"});
}

}  // namespace
}  // namespace weft::control::server
