#include "proxy/listener/filter_chain_matcher.h"

#include <catch2/catch.hpp>

namespace weft::listener {
namespace {

using snapshot::FilterChain;
using snapshot::FilterChainMatch;
using transport::Address;

FilterChainMatch::Cidr cidr(const char* ip, uint8_t bits) { return {Address::parse_ip(ip, 0), bits}; }

struct Chains {
  snapshot::Listener listener;
  FilterChainMatch& add(std::string name) {
    auto chain = std::make_shared<FilterChain>();
    chain->name = std::move(name);
    listener.filter_chains.push_back(chain);
    return chain->match;
  }
  void add_default(std::string name) {
    auto chain = std::make_shared<FilterChain>();
    chain->name = std::move(name);
    listener.default_filter_chain = chain;
  }
};

struct Facts {
  std::string local = "10.0.0.1";
  uint16_t local_port = 443;
  std::string remote = "192.0.2.9";
  uint16_t remote_port = 5555;
  std::string direct = "192.0.2.9";
  std::string sni;
  std::string transport = "raw_buffer";
  std::vector<std::string> alpn;
};

std::string find(const Chains& chains, const Facts& facts) {
  auto matcher = FilterChainMatcher::build(chains.listener);
  REQUIRE(matcher.ok());
  Address local = Address::parse_ip(facts.local, facts.local_port);
  Address remote = Address::parse_ip(facts.remote, facts.remote_port);
  Address direct = Address::parse_ip(facts.direct, facts.remote_port);
  auto chain = (*matcher)->find({&local, &remote, &direct, facts.sni, facts.transport, &facts.alpn});
  return chain == nullptr ? "none" : chain->name;
}

}  // namespace

TEST_CASE("a chain that asks for nothing takes all; without any chain there is none") {
  Chains chains;
  CHECK(find(chains, {}) == "none");
  chains.add("all");
  CHECK(find(chains, {}) == "all");
}

TEST_CASE("server names: exact, then the longest wildcard, then none, then the default chain") {
  Chains chains;
  chains.add("exact").server_names = {"www.example.com"};
  chains.add("wide").server_names = {".com"};
  chains.add("near").server_names = {".example.com", "example.org"};
  auto sni = [&](std::string name) {
    Facts facts;
    facts.sni = std::move(name);
    return find(chains, facts);
  };
  CHECK(sni("www.example.com") == "exact");
  CHECK(sni("a.b.example.com") == "near");
  CHECK(sni("example.com") == "wide");
  CHECK(sni("example.org") == "near");
  CHECK(sni("www.example.org") == "none");
  CHECK(sni("") == "none");
  chains.add_default("default");
  CHECK(sni("") == "default");
  chains.add("any");
  CHECK(sni("") == "any");
}

TEST_CASE("the order of criteria decides, and what was passed over is not come back to") {
  Chains chains;
  auto& port = chains.add("port");
  port.has_destination_port = true;
  port.destination_port = 443;
  port.server_names = {"a.example"};
  chains.add("name").server_names = {"b.example"};
  Facts facts;
  facts.sni = "b.example";
  CHECK(find(chains, facts) == "none");  // Port 443 has its own chains, and none is for this name.
  facts.local_port = 80;
  CHECK(find(chains, facts) == "name");
  facts.local_port = 443;
  facts.sni = "a.example";
  CHECK(find(chains, facts) == "port");
}

TEST_CASE("the longest address range wins, whatever the order of the chains") {
  Chains chains;
  chains.add("wide").destination_ranges = {cidr("10.0.0.0", 8)};
  chains.add("near").destination_ranges = {cidr("10.0.0.0", 30), cidr("fd00::", 9)};
  chains.add("odd").destination_ranges = {cidr("10.0.0.0", 29)};
  Facts facts;
  CHECK(find(chains, facts) == "near");
  facts.local = "10.0.0.7";
  CHECK(find(chains, facts) == "odd");
  facts.local = "10.9.0.7";
  CHECK(find(chains, facts) == "wide");
  facts.local = "11.0.0.1";
  CHECK(find(chains, facts) == "none");
  facts.local = "fd7f::1";
  CHECK(find(chains, facts) == "near");
  facts.local = "fe00::1";
  CHECK(find(chains, facts) == "none");
}

TEST_CASE("transport and application protocols") {
  Chains chains;
  chains.add("tls").transport_protocol = "tls";
  auto& h2 = chains.add("h2");
  h2.transport_protocol = "tls";
  h2.application_protocols = {"h2"};
  chains.add("plain").transport_protocol = "raw_buffer";
  Facts facts;
  CHECK(find(chains, facts) == "plain");
  facts.transport = "tls";
  CHECK(find(chains, facts) == "tls");
  facts.alpn = {"http/1.1", "h2"};
  CHECK(find(chains, facts) == "h2");
}

TEST_CASE("sources: direct, kind, address and port") {
  Chains chains;
  chains.add("all");
  chains.add("external").source_type = FilterChainMatch::SourceType::kExternal;
  auto& ranged = chains.add("ranged");
  ranged.source_type = FilterChainMatch::SourceType::kExternal;
  ranged.source_ranges = {cidr("192.0.2.0", 24)};
  auto& ported = chains.add("ported");
  ported.source_type = FilterChainMatch::SourceType::kExternal;
  ported.source_ranges = {cidr("192.0.2.0", 24)};
  ported.source_ports = {7, 9};
  chains.add("direct").direct_source_ranges = {cidr("172.16.0.0", 12)};
  Facts facts;
  CHECK(find(chains, facts) == "ranged");
  facts.remote_port = 9;
  CHECK(find(chains, facts) == "ported");
  facts.remote = "8.8.8.8";
  CHECK(find(chains, facts) == "external");
  facts.remote = "127.0.0.1";
  CHECK(find(chains, facts) == "all");
  facts.remote = facts.local;
  CHECK(find(chains, facts) == "all");
  facts.direct = "172.20.0.1";
  CHECK(find(chains, facts) == "direct");
}

TEST_CASE("two chains that match the same connections are refused by name") {
  Chains chains;
  chains.add("one").server_names = {"a.example", "b.example"};
  chains.add("two").server_names = {"c.example", "b.example"};
  auto matcher = FilterChainMatcher::build(chains.listener);
  REQUIRE_FALSE(matcher.ok());
  CHECK(matcher.status().message() == "listener '': filter chains 'one' and 'two' match the same connections");
}

}  // namespace weft::listener
