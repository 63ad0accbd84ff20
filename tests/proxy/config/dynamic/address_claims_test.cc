#include "proxy/config/dynamic/address_claims.h"

#include <catch2/catch.hpp>
#include <optional>

namespace weft::config {
namespace {

using transport::Address;

TEST_CASE("an address is a listener's as long as its last claim lives") {
  const std::string web = "web", other = "other";
  const Address address = Address::parse_ip("10.0.0.1", 80);
  AddressClaims claims;
  CHECK(claims.holder_of(address, "").empty());
  std::optional<AddressClaims::Claim> first(claims.claim(address, web));
  // The version that takes its place.
  std::vector<AddressClaims::Claim> next;
  next.push_back(claims.claim(address, web));
  next.push_back(claims.claim(Address::parse_ip("::1", 80), web));
  first.reset();
  CHECK(claims.holder_of(address, other) == "web");
  CHECK(claims.holder_of(address, web).empty());
  next.clear();
  CHECK(claims.holder_of(address, other).empty());
}

TEST_CASE("addresses are told apart by all that belongs to them") {
  const std::string web = "web", other = "other";
  Address link = Address::parse_ip("fe80::1", 80);
  link.scope_id = 2;
  AddressClaims claims;
  const std::vector<Address> taken = {Address::parse_ip("10.0.0.1", 80), Address::unix_path("/run/a"), link};
  std::vector<AddressClaims::Claim> held;
  for (const Address& each : taken) held.push_back(claims.claim(each, web));
  for (const Address& each : taken) CHECK(claims.holder_of(each, other) == "web");
  link.scope_id = 3;
  for (const Address& each : {Address::parse_ip("10.0.0.1", 81), Address::parse_ip("10.0.0.2", 80),
                              Address::unix_path("/run/b"), Address::parse_ip("::ffff:10.0.0.1", 80), link}) {
    CHECK(claims.holder_of(each, other).empty());
  }
  // Two may come to have one, as of a free port.
  held.push_back(claims.claim(taken[0], other));
  CHECK(claims.holder_of(taken[0], other) == "web");
  CHECK(claims.holder_of(taken[0], web) == "other");
}

}  // namespace
}  // namespace weft::config
