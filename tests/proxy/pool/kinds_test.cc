// Which requests share connections: those to one host, in one protocol, of one priority.

#include "tests/proxy/pool/fixture.h"

namespace weft::pool {
namespace {

TEST_CASE("a route's priority says which breakers bound the connections made for it") {
  Fixture fixture([](auto& config) {
    config.breakers[0].max_connections = 1;
    config.breakers[1].max_connections = 2;
  });
  Request& first = fixture.request();
  Request& second = fixture.request();
  for (int i = 0; i < 3; ++i) fixture.request(0, cluster::Priority::kHigh);
  // The default's one is used up; those of high priority have their own two.
  REQUIRE(fixture.wires() == 3);
  CHECK(fixture.stats().upstream_cx_overflow.value() == 2);
  for (size_t i = 0; i < 3; ++i) fixture.accept(i);
  CHECK_FALSE(first.waits());
  CHECK(second.waits());
  CHECK_FALSE(fixture.requests[2]->waits());
  CHECK_FALSE(fixture.requests[3]->waits());
  CHECK(fixture.requests[4]->waits());
}

TEST_CASE("a tunnel has a connection of its own, which is not HTTP's") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, kOk);
  CHECK(fixture.requests[0]->answered());
  fixture.request(0, cluster::Priority::kDefault, true);
  fixture.request(0, cluster::Priority::kDefault, true);
  REQUIRE(fixture.wires() == 3);
  fixture.accept(1);
  fixture.accept(2);
  CHECK(fixture.wire(1).sent.empty());
  CHECK(fixture.requests[1]->answer.log == "200");
  CHECK(fixture.requests[2]->answer.log == "200");
  CHECK(fixture.stats().upstream_cx_http1_total.value() == 1);
  fixture.arrive(2, "raw");
  CHECK(fixture.requests[2]->answer.body == "raw");
  CHECK(fixture.requests[1]->answer.body.empty());
}

}  // namespace
}  // namespace weft::pool
