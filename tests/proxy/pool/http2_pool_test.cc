#include <catch2/catch.hpp>

#include "tests/proxy/pool/fixture.h"

namespace weft::pool {
namespace {

TEST_CASE("a burst before the first SETTINGS shares connections as if each took a hundred streams") {
  Fixture fixture(http2);
  fixture.start_requests(100);
  CHECK(fixture.wires() == 1);
  fixture.start_requests(50);
  REQUIRE(fixture.wires() == 2);
  fixture.accept(0);
  CHECK_FALSE(fixture.requests[99]->waits());
  CHECK(fixture.requests[100]->waits());
  fixture.accept(1);
  CHECK_FALSE(fixture.requests[149]->waits());
  CHECK(fixture.requests[149]->connection != fixture.requests[0]->connection);
}

TEST_CASE("our own limit of streams bounds what a new connection is expected to take") {
  Fixture fixture([](auto& config) {
    http2(config);
    config.codec_limits.h2_max_concurrent_streams = 10;
  });
  fixture.start_requests(25);
  REQUIRE(fixture.wires() == 3);
  fixture.accept(0);
  CHECK_FALSE(fixture.requests[9]->waits());
  CHECK(fixture.requests[10]->waits());
}

TEST_CASE("the limit of streams in the peer's SETTINGS is kept, and what it says is expected of the next connection") {
  Fixture fixture(http2);
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, settings_of_streams(2));
  CHECK_FALSE(fixture.request().waits());
  Request& third = fixture.request();
  CHECK(third.waits());
  CHECK(fixture.wires() == 2);
  fixture.request();
  CHECK(fixture.wires() == 2);
  fixture.request();
  CHECK(fixture.wires() == 3);
}

TEST_CASE("what the last peer allowed is expected of the next connection, also after it ended") {
  Fixture fixture(http2);
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, settings_of_streams(2) + ok(1) + go_away(1));
  REQUIRE_FALSE(fixture.wire(0).alive);
  fixture.start_requests(4);
  CHECK(fixture.wires() == 3);
}

TEST_CASE("a stream that ends makes room for one who waits") {
  Fixture fixture([](auto& config) {
    http2(config);
    config.breakers[0].max_connections = 1;
  });
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, settings_of_streams(1));
  Request& second = fixture.request();
  CHECK(second.waits());
  fixture.arrive(0, ok(1));
  CHECK_FALSE(second.waits());
  fixture.loop.turn();
  fixture.arrive(0, ok(3));
  CHECK(second.answered());
  CHECK(fixture.wires() == 1);
}

TEST_CASE("after GOAWAY what is above its last stream was not processed, the rest ends, and nothing new begins") {
  Fixture fixture(http2);
  Request& first = fixture.request();
  Request& second = fixture.request();
  fixture.accept(0);
  fixture.arrive(0, settings() + go_away(1));
  CHECK(second.answer.reason == codec::ResetReason::kRefused);
  CHECK_FALSE(first.answer.reset);
  Request& third = fixture.request();
  CHECK(third.waits());
  CHECK(fixture.wires() == 2);
  fixture.arrive(0, ok(1));
  CHECK(first.answered());
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.wire(1).alive);
}

TEST_CASE("where ALPN chooses HTTP/1, each of a burst gets a connection of its own") {
  Fixture fixture([](auto& config) { config.protocol = cluster::UpstreamProtocol::kAuto; });
  fixture.start_requests(3);
  REQUIRE(fixture.wires() == 1);
  fixture.accept(0, "http/1.1");
  REQUIRE(fixture.wires() == 3);
  CHECK_FALSE(fixture.requests[0]->waits());
  CHECK(fixture.requests[1]->waits());
  fixture.accept(1, "http/1.1");
  fixture.accept(2, "http/1.1");
  CHECK_FALSE(fixture.requests[2]->waits());
  fixture.request();
  fixture.request();
  CHECK(fixture.wires() == 5);
}

TEST_CASE("where ALPN chooses HTTP/2, a burst shares one connection") {
  Fixture fixture([](auto& config) { config.protocol = cluster::UpstreamProtocol::kAuto; });
  fixture.start_requests(3);
  fixture.accept(0, "h2");
  CHECK(fixture.wires() == 1);
  CHECK_FALSE(fixture.requests[2]->waits());
}

TEST_CASE("a cluster that speaks what the client speaks keeps the two apart") {
  Fixture fixture([](auto& config) { config.protocol = cluster::UpstreamProtocol::kAsDownstream; });
  auto start = [&](http::Version version) {
    fixture.requests.push_back(std::make_unique<Request>());
    fixture.requests.back()->version = version;
    fixture.pools->acquire_stream(fixture.hosts[0], *fixture.requests.back());
  };
  start(http::Version::kHttp2);
  start(http::Version::kHttp11);
  REQUIRE(fixture.wires() == 2);
  fixture.accept(0);
  fixture.accept(1);
  CHECK(fixture.wire(0).sent.starts_with("PRI * HTTP/2.0"));
  CHECK(fixture.wire(1).sent.starts_with("GET / HTTP/1.1"));
}

TEST_CASE("a peer that answers no PING is given up") {
  Fixture fixture([](auto& config) {
    http2(config);
    config.h2_ping_interval_ms = 1'000;
    config.h2_ping_timeout_ms = 500;
  });
  Request& request = fixture.request();
  fixture.accept(0);
  fixture.arrive(0, settings());
  fixture.loop.advance_ms(1'001);
  CHECK(fixture.wire(0).alive);
  fixture.loop.advance_ms(1'001);
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(request.answer.reset);
}

}  // namespace
}  // namespace weft::pool
