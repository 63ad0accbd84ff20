#include "control-plane/server/workload_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

namespace weft::control::server {
namespace {

registry::Workload workload(const std::string& node) {
  registry::Workload out;
  out.name = {.namespace_name = "shop", .service = "cart", .node = node};
  out.address = "10.0.0.1";
  out.port = 15006;
  out.app_port = 8080;
  return out;
}

TEST_CASE("workloads are known after a restart as they were last") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("weft-" + std::to_string(getpid()));
  registry::Workload one = workload("one");
  registry::Workload two = workload("two");
  {
    const auto store = WorkloadStore::open(path);
    REQUIRE(store.ok());
    REQUIRE((*store)->save({{one.name, one}, {two.name, two}}).ok());
    one.listening = true;
    one.healthy = false;
    one.reason = "it says 503";
    one.labels = {"cart-v2", "carts"};
    one.draining = true;
    one.takes_all_ports = true;
    REQUIRE((*store)->save({{one.name, one}, {two.name, std::nullopt}, {two.name, std::nullopt}}).ok());
  }
  const auto store = WorkloadStore::open(path);
  REQUIRE(store.ok());
  const auto known = (*store)->load();
  REQUIRE(known.ok());
  REQUIRE(known->size() == 1);
  CHECK((*known)[0] == one);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace weft::control::server
