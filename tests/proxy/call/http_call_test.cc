#include "proxy/call/http_call.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/proxy/pool/fixture.h"

namespace weft::call {
namespace {

struct Caller final : HttpCall::Events {
  explicit Caller(std::string_view method = "GET") {
    net.cluster->set_hosts({{net.hosts[0]}});
    request.cluster = "c";
    request.path = "/";
    request.method = method;
  }
  ~Caller() {
    if (call != nullptr) call->cancel();
    net.loop.turn();
  }
  // Its request is on a connection, if there is one that is idle.
  void start() {
    call = HttpCall::start(context, request, *this);
    net.loop.turn();
  }
  void turn() {
    net.loop.turn();
    net.loop.turn();
  }
  void on_call_answer(const HttpAnswer& answer) override {
    call = nullptr;
    status = answer.head.status;
  }
  void on_call_failed(std::string_view reason) override {
    call = nullptr;
    failure = reason;
  }
  uint64_t repeats() { return net.stats().upstream_rq_retry_stale_connection.value(); }
  uint32_t requests() { return net.cluster->breakers(cluster::Priority::kDefault).requests(); }

  pool::Fixture net;
  pool::WorkerContext context{net.loop, net.random, *net.upstreams, 0};
  HttpRequest request;
  HttpCall* call = nullptr;
  uint16_t status = 0;
  std::string failure;
};

}  // namespace

TEST_CASE("a call whose idle connection had ended is made again on a new one, once") {
  bool by_reset = GENERATE(false, true);
  Caller caller;
  caller.net.idle(2);
  caller.start();
  by_reset ? caller.net.wire(1).reset() : caller.net.wire(1).end();
  caller.turn();
  REQUIRE(caller.net.wires() == 3);
  CHECK(caller.repeats() == 1);
  caller.net.accept(2);
  CHECK(caller.net.wire(2).sent.starts_with("GET / HTTP/1.1\r\n"));
  SECTION("and answered") {
    caller.net.arrive(2, pool::kOk);
    CHECK(caller.status == 200);
  }
  SECTION("but not a second time") {
    by_reset ? caller.net.wire(2).reset() : caller.net.wire(2).end();
    caller.turn();
    CHECK_FALSE(caller.failure.empty());
    CHECK(caller.net.wires() == 3);
  }
  caller.turn();
  CHECK(caller.requests() == 0);
}

TEST_CASE("a call that may have been processed and is not idempotent fails") {
  Caller caller("POST");
  caller.net.idle(1);
  caller.start();
  CHECK(caller.net.wire(0).sent.find("POST / ") != std::string::npos);
  caller.net.wire(0).end();
  caller.turn();
  CHECK_FALSE(caller.failure.empty());
  CHECK(caller.net.wires() == 1);
  CHECK(caller.repeats() == 0);
}

TEST_CASE("a call whose new connection ends fails") {
  Caller caller;
  caller.start();
  caller.net.accept(0);
  caller.net.wire(0).end();
  caller.turn();
  CHECK_FALSE(caller.failure.empty());
  CHECK(caller.net.wires() == 1);
}

TEST_CASE("a call that is to be made again may be cancelled, or its cluster go") {
  Caller caller;
  caller.net.idle(1);
  caller.start();
  caller.net.wire(0).end();
  SECTION("cancelled") {
    std::exchange(caller.call, nullptr)->cancel();
    caller.turn();
    CHECK(caller.failure.empty());
  }
  SECTION("cancelled while it waits for the connection") {
    caller.turn();
    REQUIRE(caller.net.wires() == 2);
    std::exchange(caller.call, nullptr)->cancel();
    caller.turn();
    CHECK(caller.failure.empty());
  }
  SECTION("no such cluster any more") {
    caller.net.upstreams->assign(*caller.net.slot, nullptr);
    caller.turn();
    CHECK_FALSE(caller.failure.empty());
  }
  caller.turn();
  CHECK(caller.requests() == 0);
}

}  // namespace weft::call
