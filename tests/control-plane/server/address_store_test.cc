#include "control-plane/server/address_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <string>

namespace weft::control::server {
namespace {

using registry::VirtualAddresses;

TEST_CASE("addresses are whose they were after a restart") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weft-addresses-" + std::to_string(getpid()));
  const registry::ServiceName cart{.namespace_name = "shop", .name = "cart"};
  const registry::ServiceName pay{.namespace_name = "shop", .name = "pay", .external = true};
  {
    const auto store = AddressStore::open(path);
    REQUIRE(store.ok());
    REQUIRE((*store)->save({{cart, 1}, {pay, 2}}).ok());
    REQUIRE((*store)->save({{cart, std::nullopt}, {pay, 3}}).ok());
  }
  const auto store = AddressStore::open(path);
  REQUIRE(store.ok());
  const auto known = (*store)->load();
  REQUIRE(known.ok());
  CHECK(*known == std::vector<VirtualAddresses::Assignment>{{pay, 3}});
  std::filesystem::remove(path);
}

TEST_CASE("addresses survive the process that is killed right after it gave them") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weft-addresses-killed-" + std::to_string(getpid()));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const registry::ServiceName cart{.namespace_name = "shop", .name = "cart"};
    const auto store = AddressStore::open(path);
    if (store.ok() && (*store)->save({{cart, 7}}).ok()) raise(SIGKILL);
    _exit(1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  const auto store = AddressStore::open(path);
  REQUIRE(store.ok());
  const auto known = (*store)->load();
  REQUIRE(known.ok());
  REQUIRE(known->size() == 1);
  CHECK(known->front().service.name == "cart");
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
}

}  // namespace
}  // namespace weft::control::server
