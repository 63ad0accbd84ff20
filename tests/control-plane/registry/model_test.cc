#include "control-plane/registry/model.h"

#include <catch2/catch.hpp>
#include <memory>

namespace weft::control::registry {
namespace {

const ServiceName kCart{"shop", "cart"};

std::shared_ptr<const Route> route(const std::string& namespace_name, const std::string& name) {
  auto out = std::make_shared<Route>();
  out->origin.key = {source::Kind::kHttpRoute, namespace_name, name};
  return out;
}

TEST_CASE("a copy of a map shares its entries, and a change of one is not seen in the other") {
  SharedMap<ServiceName, Service> first;
  for (int i = 0; i < 1000; ++i) {
    first.set({"shop", "s" + std::to_string(i)}, std::make_shared<Service>());
  }
  SharedMap<ServiceName, Service> second = first;
  second.erase({"shop", "s7"});
  second.erase({"shop", "never was"});
  second.set({"shop", "s8"}, nullptr);
  CHECK(first.size() == 1000);
  CHECK(second.size() == 999);
  CHECK(first.find({"shop", "s7"}) != nullptr);
  CHECK(second.find({"shop", "s7"}) == nullptr);
  CHECK(first.find({"shop", "s8"}) != nullptr);
  CHECK(second.find({"shop", "s8"}) == nullptr);
  CHECK(first.find({"shop", "s9"}) == second.find({"shop", "s9"}));
  size_t seen = 0;
  second.for_each([&](const ServiceName& name, const auto&) { seen += name.namespace_name == "shop" ? 1 : 0; });
  CHECK(seen == 999);
}

TEST_CASE("clients of a namespace with routes of its own follow these, all others the service's") {
  Model model;
  auto routes = std::make_shared<Routes>();
  routes->attached = {{route("shop", "everyone")}, {route("shop", "admin"), 9000}, {route("web", "ours"), {}, true}};
  model.routes.set(kCart, routes);
  const auto names = [&](uint16_t port, std::string_view client) {
    std::vector<std::string> out;
    for (const auto& found : model.routes_for(kCart, port, client)) out.push_back(found->origin.key.name);
    return out;
  };
  CHECK(names(80, "shop") == std::vector<std::string>{"everyone"});
  CHECK(names(9000, "pay") == std::vector<std::string>{"everyone", "admin"});
  CHECK(names(9000, "web") == std::vector<std::string>{"ours"});
  CHECK(model.routes_for({"shop", "unknown"}, 80, "shop").empty());
}

TEST_CASE("endpoints and ports are found by the service's port") {
  Service service;
  service.ports = {{"http", 80, AppProtocol::kHttp}};
  REQUIRE(service.port(80) != nullptr);
  CHECK(service.port(80)->name == "http");
  CHECK(service.port(81) == nullptr);
  Endpoints endpoints;
  endpoints.ports = {{80, {{"10.0.0.1", 8080}}}};
  CHECK(endpoints.of(80).size() == 1);
  CHECK(endpoints.of(81).empty());
}

TEST_CASE("merged changes hold what either has") {
  ChangeSet changes;
  CHECK(changes.empty());
  ChangeSet later;
  later.endpoints.insert(kCart);
  changes.merge(later);
  CHECK_FALSE(changes.empty());
  CHECK(changes.endpoints.contains(kCart));
  CHECK(changes.services.empty());
}

}  // namespace
}  // namespace weft::control::registry
