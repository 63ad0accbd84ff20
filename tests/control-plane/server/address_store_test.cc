#include "control-plane/server/address_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
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

}  // namespace
}  // namespace weft::control::server
