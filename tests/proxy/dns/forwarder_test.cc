#include "proxy/dns/forwarder.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/proxy/dns/fake_upstream.h"
#include "tests/proxy/dns/questions.h"

namespace weft::dns {
namespace {

struct Forwarding {
  explicit Forwarding(std::vector<std::string> servers = {"10.0.0.1", "10.0.0.2"}) {
    std::vector<transport::Address> addresses;
    for (const std::string& each : servers) addresses.push_back(transport::Address::parse_ip(each, 53));
    forwarder.set_servers(std::move(addresses));
  }
  void ask_for(const std::string& name, Protocol protocol = Protocol::kUdp) {
    const std::string message = ask(name);
    forwarder.ask(parsed(message), message, protocol, [this](std::string_view answer) {
      answered = std::string(answer);
      ++answers;
    });
  }
  // What a server says to the i-th question.
  void say(size_t i, const std::string& message) {
    REQUIRE(upstream.asked[i].events != nullptr);
    upstream.asked[i].events->on_message(message);
    loop.turn();
  }
  uint16_t id(size_t i) const { return id_of(upstream.asked[i].message); }

  // Before the loop, which ends what it was to delete later.
  FakeUpstream upstream;
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  observe::DnsStats stats;
  Forwarder forwarder{loop, upstream, stats};
  std::optional<std::string> answered;
  int answers = 0;
};

TEST_CASE("a question goes to the first server under an id of our own, and the answer back under its own") {
  Forwarding f;
  f.ask_for("a.example");
  REQUIRE(f.upstream.asked.size() == 1);
  CHECK(f.upstream.asked[0].server.to_string() == "10.0.0.1:53");
  CHECK(f.upstream.asked[0].message == ask("a.example", kTypeA, 1001));
  CHECK(f.stats.upstream_active.value() == 1);
  f.say(0, server_answer("a.example", kTypeA, 1001));
  CHECK(f.answered == server_answer("a.example", kTypeA, 7));
  CHECK(f.upstream.asked[0].events == nullptr);
  CHECK(f.stats.upstream_active.value() == 0);
}

TEST_CASE("what does not answer the question is as if it had not come") {
  Forwarding f;
  f.ask_for("a.example");
  f.say(0, server_answer("a.example", kTypeA, 7));
  f.say(0, server_answer("evil.example", kTypeA, 1001));
  f.say(0, "");
  f.say(0, ask("a.example", kTypeA, 1001));
  CHECK_FALSE(f.answered);
  CHECK(f.stats.upstream_unrelated.value() == 4);
  f.say(0, server_answer("a.example", kTypeA, 1001));
  CHECK(f.answered);
}

TEST_CASE("who does not answer in time is given a chance beside the next one") {
  Forwarding f;
  f.ask_for("a.example");
  f.loop.advance_ms(Forwarder::kTryTimeoutMs);
  REQUIRE(f.upstream.asked.size() == 2);
  CHECK(f.upstream.asked[1].server.to_string() == "10.0.0.2:53");
  CHECK(f.id(1) != f.id(0));
  CHECK(f.stats.upstream_retry.value() == 1);
  // Each server has to answer what it was asked.
  f.say(1, server_answer("a.example", kTypeA, f.id(0)));
  CHECK_FALSE(f.answered);
  f.say(0, server_answer("a.example", kTypeA, f.id(0)));
  CHECK(f.answered == server_answer("a.example", kTypeA, 7));
  CHECK(f.upstream.asked[1].events == nullptr);
  CHECK(f.answers == 1);
}

TEST_CASE("a question that nobody answers is over before its sender asks again") {
  Forwarding f({"10.0.0.1"});
  f.ask_for("a.example");
  f.loop.advance_ms(4'499);
  CHECK_FALSE(f.answered);
  f.loop.advance_ms(1);
  CHECK(f.answered == "");
  CHECK(f.upstream.asked.size() == 3);
  CHECK(f.stats.upstream_failure.value() == 1);
  f.loop.advance_ms(60'000);
  CHECK(f.upstream.asked.size() == 3);
}

TEST_CASE("a server that cannot be reached is not waited for") {
  Forwarding f;
  f.ask_for("a.example");
  f.upstream.asked[0].events->on_failed();
  REQUIRE(f.upstream.asked.size() == 2);
  f.upstream.asked[1].events->on_failed();
  CHECK(f.answered == "");
}

TEST_CASE("a refusal counts when nobody knows better") {
  const uint16_t code = GENERATE(2, 4, 5);
  const auto flags = static_cast<uint16_t>(0x8180 | code);
  Forwarding f;
  f.ask_for("a.example");
  f.say(0, server_answer("a.example", kTypeA, f.id(0), flags));
  CHECK_FALSE(f.answered);
  SECTION("the second one does") {
    f.say(1, server_answer("a.example", kTypeA, f.id(1)));
    CHECK(f.answered == server_answer("a.example", kTypeA, 7));
  }
  SECTION("the second one refuses, too") {
    f.say(1, server_answer("a.example", kTypeA, f.id(1), 0x8182));
    CHECK(f.answered == server_answer("a.example", kTypeA, 7, 0x8182));
  }
  SECTION("the second one says nothing") {
    f.loop.advance_ms(10'000);
    CHECK(f.answered == server_answer("a.example", kTypeA, 7, flags));
  }
}

TEST_CASE("that there is no such name is an answer") {
  Forwarding f;
  f.ask_for("a.example");
  f.say(0, server_answer("a.example", kTypeA, f.id(0), 0x8183));
  CHECK(f.answered == server_answer("a.example", kTypeA, 7, 0x8183));
}

TEST_CASE("who asks by TCP is answered by what a server says by TCP") {
  Forwarding f;
  f.ask_for("a.example", Protocol::kTcp);
  CHECK(f.upstream.asked[0].protocol == Protocol::kTcp);
}

TEST_CASE("questions without servers, and too many at a time, have no answer") {
  Forwarding none({});
  none.ask_for("a.example");
  CHECK(none.answered == "");
  Forwarding f;
  for (size_t i = 0; i < Forwarder::kMaxInFlight; ++i) f.ask_for("a.example");
  CHECK_FALSE(f.answered);
  f.ask_for("a.example");
  CHECK(f.answered == "");
  CHECK(f.stats.upstream_overflow.value() == 1);
  // One that is over makes room.
  f.say(0, server_answer("a.example", kTypeA, f.id(0)));
  f.answered.reset();
  f.ask_for("a.example");
  CHECK_FALSE(f.answered);
}

TEST_CASE("of many servers three are asked") {
  Forwarding f({"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"});
  f.ask_for("a.example");
  for (size_t i = 0; i < 3; ++i) f.upstream.asked[i].events->on_failed();
  CHECK(f.answered == "");
  CHECK(f.upstream.asked.size() == 3);
}

}  // namespace
}  // namespace weft::dns
