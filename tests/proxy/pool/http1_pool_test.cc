#include <catch2/catch.hpp>

#include "tests/proxy/pool/fixture.h"

namespace weft::pool {
namespace {

TEST_CASE("an HTTP/1 connection carries one request after another, and the last one used goes first") {
  Fixture fixture;
  Request& first = fixture.request();
  Request& second = fixture.request();
  REQUIRE(fixture.wires() == 2);
  fixture.accept(0);
  fixture.accept(1);
  CHECK(fixture.wire(0).sent.starts_with("GET / HTTP/1.1\r\n"));
  CHECK_FALSE(first.reused);
  fixture.arrive(1, kOk);
  fixture.arrive(0, kOk);
  CHECK((first.answered() && second.answered()));
  Request& third = fixture.request();
  CHECK(third.reused);
  fixture.loop.turn();
  fixture.arrive(0, kOk);
  CHECK(third.answer.body == "ok");
  CHECK(fixture.wires() == 2);
  CHECK(fixture.stats().upstream_cx_total.value() == 2);
}

TEST_CASE("a connection that its peer closed while it was idle is not used again") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, kOk);
  // In the turn in which the end is read, the pool has not yet been told.
  fixture.wire(0).end();
  Request& next = fixture.request();
  CHECK(next.waits());
  REQUIRE(fixture.wires() == 2);
  fixture.loop.turn();
  CHECK_FALSE(fixture.wire(0).alive);
  fixture.accept(1);
  fixture.arrive(1, kOk);
  CHECK(next.answered());
}

TEST_CASE("a request on a used connection that closes before its answer is told apart from one on a fresh connection") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, kOk);
  Request& late = fixture.request();
  CHECK_FALSE(late.connection->request_bytes_written(*late.stream));
  fixture.loop.turn();
  CHECK(late.connection->request_bytes_written(*late.stream));
  fixture.wire(0).end();
  fixture.loop.turn();
  CHECK(late.answer.reason == codec::ResetReason::kConnectionClosedUnused);

  Request& fresh = fixture.request();
  fixture.accept(1);
  fixture.wire(1).end();
  fixture.loop.turn();
  CHECK(fresh.answer.reason == codec::ResetReason::kConnectionClosed);
}

TEST_CASE("who wants a new connection is given none that has been idle") {
  Fixture fixture;
  fixture.idle(2);
  Request& fresh = fixture.request_fresh();
  REQUIRE(fixture.wires() == 3);
  CHECK(fresh.waits());
  // One that others need not wait for.
  Request& other = fixture.request();
  CHECK(other.reused);
  fixture.loop.turn();
  fixture.arrive(1, kOk);
  CHECK(other.answered());
  CHECK(fresh.waits());
  fixture.accept(2);
  CHECK_FALSE(fresh.reused);
  fixture.arrive(2, kOk);
  CHECK(fresh.answered());
  CHECK(fixture.wires() == 3);
}

TEST_CASE("who wants a new connection takes any where no more can be made") {
  Fixture fixture([](auto& config) { config.breakers[0].max_connections = 2; });
  fixture.idle(2);
  CHECK(fixture.request_fresh().reused);
  CHECK(fixture.request_fresh().reused);
  Request& third = fixture.request_fresh();
  CHECK(third.waits());
  fixture.loop.turn();
  fixture.arrive(0, kOk);
  CHECK(third.reused);
  fixture.loop.turn();
  fixture.arrive(0, kOk);
  CHECK(third.answered());
  CHECK(fixture.wires() == 2);
}

TEST_CASE("of those who want a new connection, only as many pass a used one over as new ones are under way") {
  Fixture fixture([](auto& config) { config.breakers[0].max_connections = 2; });
  fixture.idle(1);
  fixture.request();  // Takes the idle one.
  Request& first = fixture.request_fresh();
  Request& second = fixture.request_fresh();
  REQUIRE(fixture.wires() == 2);
  fixture.loop.turn();
  fixture.arrive(0, kOk);
  CHECK(first.waits());
  CHECK(second.reused);
  fixture.accept(1);
  CHECK_FALSE(first.waits());
  CHECK_FALSE(first.reused);
}

TEST_CASE("a connection whose answer says close is closed after it") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.upstreams->open_connections() == 0);
}

TEST_CASE("a connection carries no more requests than it may") {
  Fixture fixture([](auto& config) { config.max_requests_per_connection = 2; });
  for (int i = 0; i < 2; ++i) {
    fixture.request();
    if (i == 0) fixture.accept(0);
    fixture.loop.turn();
    fixture.arrive(0, kOk);
  }
  fixture.request();
  CHECK(fixture.wires() == 2);
  CHECK(fixture.stats().upstream_cx_max_requests.value() == 1);
}

TEST_CASE("a connection that is not made in time fails those who wait for it, and gives back its places") {
  Fixture fixture;
  Request& request = fixture.request();
  CHECK(fixture.cluster->breakers(cluster::Priority::kDefault).pending() == 1);
  fixture.loop.advance_ms(999);
  CHECK(request.waits());
  fixture.loop.advance_ms(2);
  CHECK(request.failed);
  CHECK(request.cause == http::Cause::kConnectTimeout);
  CHECK_FALSE(fixture.wire(0).alive);
  auto& breakers = fixture.cluster->breakers(cluster::Priority::kDefault);
  CHECK(breakers.connections() == 0);
  CHECK(breakers.pending() == 0);
  CHECK(fixture.hosts[0]->active_connections == 0);
  CHECK(fixture.stats().upstream_cx_connect_timeout.value() == 1);
}

TEST_CASE("a refused connection fails one request; the others have theirs under way") {
  Fixture fixture;
  Request& first = fixture.request();
  Request& second = fixture.request();
  fixture.wire(0).refuse();
  CHECK(first.cause == http::Cause::kConnectRefused);
  CHECK(second.waits());
  fixture.loop.turn();
  fixture.accept(1);
  fixture.arrive(1, kOk);
  CHECK(second.answered());
}

TEST_CASE("an idle connection is closed after the idle timeout, which counts from its last exchange") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.loop.advance_ms(50'000);
  fixture.arrive(0, kOk);
  fixture.loop.advance_ms(59'000);
  CHECK(fixture.wire(0).alive);
  fixture.loop.advance_ms(1'001);
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.stats().upstream_cx_idle_timeout.value() == 1);
  CHECK(fixture.upstreams->open_connections() == 0);
}

TEST_CASE("at the most connections a request waits until one is free") {
  Fixture fixture([](auto& config) { config.breakers[0].max_connections = 1; });
  fixture.request();
  Request& second = fixture.request();
  REQUIRE(fixture.wires() == 1);
  CHECK(fixture.stats().upstream_cx_overflow.value() == 1);
  fixture.accept(0);
  CHECK(second.waits());
  fixture.arrive(0, kOk);
  CHECK_FALSE(second.waits());
  fixture.loop.turn();
  fixture.arrive(0, kOk);
  CHECK(second.answered());
}

TEST_CASE("one connection is allowed however low the limit, or nothing could ever move") {
  Fixture fixture([](auto& config) { config.breakers[0].max_connections = 0; });
  Request& request = fixture.request();
  REQUIRE(fixture.wires() == 1);
  fixture.accept(0);
  fixture.arrive(0, kOk);
  CHECK(request.answered());
}

TEST_CASE("a waiter's connection that was lost is made anew") {
  Fixture fixture([](auto& config) { config.breakers[0].max_connections = 1; });
  fixture.request();
  Request& second = fixture.request();
  fixture.accept(0);
  fixture.wire(0).reset();
  fixture.loop.turn();
  REQUIRE(fixture.wires() == 2);
  fixture.accept(1);
  fixture.arrive(1, kOk);
  CHECK(second.answered());
}

TEST_CASE("no more requests wait than may, and one that goes makes room") {
  Fixture fixture([](auto& config) { config.breakers[0].max_pending_requests = 1; });
  fixture.request();
  Request& second = fixture.request();
  CHECK(second.failed);
  CHECK(second.cause == http::Cause::kOverflowPending);
  CHECK(fixture.stats().upstream_rq_pending_overflow.value() == 1);
  fixture.requests.clear();
  CHECK(fixture.cluster->breakers(cluster::Priority::kDefault).pending() == 0);
  CHECK(fixture.stats().upstream_rq_pending_active.value() == 0);
  CHECK(fixture.request().waits());
}

TEST_CASE("draining closes idle connections at once and busy ones after their exchange") {
  Fixture fixture;
  fixture.request();
  Request& busy = fixture.request();
  fixture.accept(0);
  fixture.accept(1);
  fixture.arrive(0, kOk);
  fixture.upstreams->drain();
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.wire(1).alive);
  fixture.arrive(1, kOk);
  CHECK(busy.answered());
  CHECK_FALSE(fixture.wire(1).alive);
}

}  // namespace
}  // namespace weft::pool
