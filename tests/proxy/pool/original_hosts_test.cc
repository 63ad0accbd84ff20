#include "proxy/pool/original_hosts.h"

#include "tests/proxy/pool/fixture.h"

namespace weft::pool {
namespace {

using transport::Address;

void original(cluster::ClusterConfig& config) {
  config.discovery = cluster::DiscoveryType::kOriginalDst;
  config.cleanup_interval_ms = 5'000;
}

cluster::HostPtr host_of(Fixture& f, const char* ip, uint16_t port) {
  Address destination = Address::parse_ip(ip, port);
  BalanceContext context;
  context.original_destination = &destination;
  return f.pools->choose_host(context);
}

}  // namespace

TEST_CASE("a destination is a host while somebody asks for it now and then") {
  Fixture f(original);
  cluster::HostPtr one = host_of(f, "192.0.2.1", 80);
  REQUIRE(one != nullptr);
  CHECK(one->address_text() == "192.0.2.1:80");
  CHECK(host_of(f, "192.0.2.1", 80) == one);
  CHECK(host_of(f, "192.0.2.1", 81) != one);
  CHECK(host_of(f, "2001:db8::1", 80)->address_text() == "[2001:db8::1]:80");
  f.loop.advance_ms(5'000);
  CHECK(host_of(f, "192.0.2.1", 80) == one);
  f.loop.advance_ms(5'000);
  f.loop.advance_ms(5'000);
  CHECK(host_of(f, "192.0.2.1", 80) != one);
}

TEST_CASE("idle connections to a destination go with it") {
  Fixture f(original);
  f.hosts[0] = host_of(f, "192.0.2.1", 80);
  f.request();
  f.accept(0);
  f.arrive(0, kOk);
  REQUIRE(f.requests[0]->answered());
  CHECK(f.stats().upstream_cx_active.value() == 1);
  f.loop.advance_ms(5'000);
  f.loop.advance_ms(5'000);
  f.loop.turn();
  CHECK(f.stats().upstream_cx_active.value() == 0);
}

TEST_CASE("another port may be in place of the destination's") {
  Fixture f([](cluster::ClusterConfig& config) {
    original(config);
    config.original_port_override = 8080;
  });
  CHECK(host_of(f, "192.0.2.1", 80)->address_text() == "192.0.2.1:8080");
}

TEST_CASE("a connection that was made to the proxy itself has nowhere to go, and it is said why") {
  Fixture f(original);
  CHECK(f.pools->choose_host({}) == nullptr);
  CHECK(no_host_cause(*f.cluster, {}) == http::Cause::kNoOriginalDestination);
  Address destination = Address::parse_ip("192.0.2.1", 80);
  BalanceContext context;
  context.original_destination = &destination;
  CHECK(no_host_cause(*f.cluster, context) == http::Cause::kNoHealthyUpstream);
  Address path = Address::unix_path("/run/app");
  context.original_destination = &path;
  CHECK(f.pools->choose_host(context) == nullptr);
}

TEST_CASE("who goes through all addresses gets so many hosts and no more") {
  Fixture f(original);
  for (size_t i = 0; i < OriginalHosts::kMostHosts; ++i) {
    const std::string ip = "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256);
    REQUIRE(host_of(f, ip.c_str(), 80) != nullptr);
  }
  CHECK(host_of(f, "192.0.2.1", 80) == nullptr);
  CHECK(host_of(f, "10.0.0.1", 80) != nullptr);
  f.loop.advance_ms(5'000);
  f.loop.advance_ms(5'000);
  CHECK(host_of(f, "192.0.2.1", 80) != nullptr);
}

}  // namespace weft::pool
