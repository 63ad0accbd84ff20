#include "proxy/forward/forwarder.h"

#include <catch2/catch.hpp>

#include "tests/proxy/pool/fixture.h"

namespace weft::forward {
namespace {

using Net = pool::Fixture;
using pool::kOk;

// A request that is given to the cluster of a fixture, and what became of it.
struct Call final : ForwardEvents {
  Call(Net& net, std::string_view method, std::string_view body = {}, const route::RetryPolicy* retry = nullptr)
      : net(net),
        request(memory),
        context{net.loop, net.random, *net.upstreams, 0},
        forwarder(context, *this, request, record) {
    request.method = method;
    request.method_id = http::method_of(method);
    request.scheme = "http";
    request.authority = "a";
    request.path = "/";
    if (retry != nullptr) action.retry = *retry;
    ForwardPlan plan;
    plan.action = &action;
    plan.cluster = net.pools;
    plan.replay_limit_bytes = 1'000;
    forwarder.start(plan, body.empty());
    if (!body.empty()) {
      base::Buffer data;
      data.append(body);
      forwarder.send_body(data, true);
    }
    net.loop.turn();
  }
  ~Call() {
    forwarder.cancel();
    net.loop.turn();
  }

  base::Arena& arena() override { return memory; }
  void on_forward_informational(http::ResponseHead&) override {}
  void on_forward_head(http::ResponseHead& head, bool) override { status = head.status; }
  void on_forward_body(base::Buffer& data, bool) override { data.clear(); }
  void on_forward_trailers(http::HeaderMap&) override {}
  void on_forward_failed(http::Cause cause, std::string_view) override { failed = cause; }
  void on_forward_blocked(bool) override {}
  void on_forward_idle() override {}

  Net& net;
  base::Arena memory;
  http::RequestHead request;
  observe::RequestRecord record;
  route::ClusterAction action;
  pool::WorkerContext context;
  uint16_t status = 0;
  http::Cause failed = http::Cause::kNone;
  Forwarder forwarder;
};

size_t requests_on(const fake::Wire& wire) {
  size_t count = 0;
  for (size_t at = wire.sent.find("HTTP/1.1\r\n"); at != std::string::npos;
       at = wire.sent.find("HTTP/1.1\r\n", at + 1)) {
    ++count;
  }
  return count;
}

// The connection that carries its second request.
size_t second_use(Net& net) {
  size_t found = SIZE_MAX;
  for (size_t i = 0; i < net.wires(); ++i) {
    if (requests_on(net.wire(i)) == 2) found = i;
  }
  REQUIRE(found != SIZE_MAX);
  return found;
}

void end(Net& net, size_t wire, bool by_reset) {
  if (by_reset) {
    net.wire(wire).reset();
  } else {
    net.wire(wire).end();
  }
  net.loop.advance_ms(1);
  net.loop.turn();
}

void only_host(Net& net, size_t host) { net.cluster->set_hosts({{net.hosts[host]}}); }

}  // namespace

TEST_CASE("a request whose idle connection had ended goes to the same host again, on a new connection") {
  bool by_reset = GENERATE(false, true);
  Net net;
  net.idle(2, 0);
  net.idle(2, 1);
  for (std::string_view method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    CAPTURE(method, by_reset);
    size_t before = net.wires();
    uint64_t repeated = net.stats().upstream_rq_retry_stale_connection.value();
    Call call(net, method);
    size_t stale = second_use(net);
    end(net, stale, by_reset);
    REQUIRE(net.wires() == before + 1);
    CHECK(net.wire(before).to == net.wire(stale).to);
    net.accept(before);
    net.arrive(before, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    CHECK(call.status == 200);
    CHECK(call.record.attempts == 2);
    CHECK(net.stats().upstream_rq_retry_stale_connection.value() == repeated + 1);
    net.wire(stale).sent.clear();
  }
  CHECK(net.stats().upstream_rq_retry_backoff_exponential.value() == 0);
  CHECK(net.cluster->breakers(cluster::Priority::kDefault).requests() == 0);
  CHECK(net.cluster->breakers(cluster::Priority::kDefault).retries() == 0);
}

TEST_CASE("the body of an idempotent request goes again with it") {
  Net net;
  only_host(net, 0);
  net.idle(1);
  Call call(net, "PUT", "hello");
  end(net, 0, false);
  REQUIRE(net.wires() == 2);
  net.accept(1);
  CHECK(net.wire(1).sent.find("hello") != std::string::npos);
  net.arrive(1, kOk);
  CHECK(call.status == 200);
}

TEST_CASE("a POST that was written on an idle connection is never sent again") {
  bool by_reset = GENERATE(false, true);
  Net net;
  only_host(net, 0);
  net.idle(2);
  for (std::string_view method : {"POST", "PATCH"}) {
    Call call(net, method);
    size_t stale = second_use(net);
    end(net, stale, by_reset);
    CHECK(call.failed == http::Cause::kUpstreamClosed);
    CHECK(call.record.attempts == 1);
    net.wire(stale).sent.clear();
  }
  CHECK(net.wires() == 2);
  CHECK(net.stats().upstream_rq_retry.value() == 0);
}

TEST_CASE("a connection that ends under its first request ends the request") {
  bool by_reset = GENERATE(false, true);
  Net net;
  only_host(net, 0);
  Call call(net, "GET");
  net.accept(0);
  end(net, 0, by_reset);
  CHECK(call.failed == http::Cause::kUpstreamClosed);
  CHECK(net.wires() == 1);
}

TEST_CASE("a connection that ends within an answer ends the request") {
  Net net;
  only_host(net, 0);
  net.idle(1);
  Call call(net, "GET");
  net.arrive(0, "HTTP/1.1 2");
  end(net, 0, false);
  CHECK(call.failed == http::Cause::kUpstreamEarlyEnd);
  CHECK(net.wires() == 1);
}

TEST_CASE("a request goes again for a stale connection once, even where only another stale one is to be had") {
  Net net([](auto& config) { config.breakers[0].max_connections = 3; });
  only_host(net, 0);
  net.idle(3);
  Call call(net, "GET");
  size_t stale = second_use(net);
  net.cluster->breakers(cluster::Priority::kDefault).force_connection();  // Somebody else took the last place.
  end(net, stale, false);
  net.wire(stale).sent.clear();
  end(net, second_use(net), false);
  CHECK(call.failed == http::Cause::kUpstreamClosed);
  CHECK(call.record.attempts == 2);
  CHECK(net.wires() == 3);
  CHECK(net.stats().upstream_rq_retry_stale_connection.value() == 1);
  net.cluster->breakers(cluster::Priority::kDefault).connection_done();
}

TEST_CASE("the policy's retries are not used up by a stale connection") {
  Net net;
  only_host(net, 0);
  net.idle(1);
  route::RetryPolicy policy;
  policy.on = route::RetryPolicy::kReset;
  policy.num_retries = 1;
  Call call(net, "GET", {}, &policy);
  end(net, 0, false);
  CHECK(net.cluster->breakers(cluster::Priority::kDefault).retries() == 0);
  net.accept(1);
  end(net, 1, false);
  CHECK(net.cluster->breakers(cluster::Priority::kDefault).retries() == 1);
  net.loop.advance_ms(100);
  REQUIRE(net.wires() == 3);
  net.accept(2);
  end(net, 2, false);
  net.loop.advance_ms(100);
  CHECK(net.wires() == 3);
  CHECK(call.failed == http::Cause::kUpstreamClosed);
  CHECK(call.record.attempts == 3);
  CHECK(net.stats().upstream_rq_retry_stale_connection.value() == 1);
  CHECK(net.stats().upstream_rq_retry_backoff_exponential.value() == 1);
  CHECK(net.stats().upstream_rq_retry_limit_exceeded.value() == 1);
}

TEST_CASE("a host that has left the cluster is not asked again for a stale connection") {
  Net net;
  only_host(net, 0);
  net.idle(1);
  Call call(net, "GET");
  only_host(net, 1);
  end(net, 0, false);
  REQUIRE(net.wires() == 2);
  CHECK(net.wire(1).to == net.hosts[1]->address());
  net.accept(1);
  net.arrive(1, kOk);
  CHECK(call.status == 200);
}

}  // namespace weft::forward
