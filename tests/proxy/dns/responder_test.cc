#include "proxy/dns/responder.h"

#include <catch2/catch.hpp>
#include <optional>
#include <set>
#include <string>

#include "tests/proxy/dns/fake_upstream.h"
#include "tests/proxy/dns/questions.h"

namespace weft::dns {
namespace {

using transport::Address;

struct Responding {
  explicit Responding(bool known = true) {
    responder.set_platform(parse_resolv_conf("nameserver 10.0.0.53\nsearch shop.svc\n"), {});
    responder.change_names({{"shop/cart", ServiceNames{{"cart.shop"}, {Address::parse_ip("240.240.0.1", 0)}}}});
    if (known) responder.set_known();
  }
  void send(const std::string& message, Protocol protocol = Protocol::kUdp) {
    answered.reset();
    responder.on_message(message, protocol, [this](std::string_view answer) {
      answered = std::string(answer);
      ++answers;
    });
  }
  // The one server says so to what it was asked last.
  void platform_says(std::string_view name, uint16_t type, uint16_t flags = 0x8180) {
    const auto& last = upstream.asked.back();
    last.events->on_message(server_answer(name, type, id_of(last.message), flags));
    loop.turn();
  }

  // Before the loop, which ends what it was to delete later.
  FakeUpstream upstream;
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  base::Random random{1};
  observe::DnsStats stats;
  Responder responder{loop, upstream, random, stats};
  std::optional<std::string> answered;
  int answers = 0;
};

TEST_CASE("what the mesh knows is answered at once, for half a minute") {
  Responding f;
  f.send(ask("CART.shop"));
  REQUIRE(f.answered);
  CHECK(*f.answered == header(7, 0x8580, 1, 1) + question_section("CART.shop", kTypeA) +
                           std::string("\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\xf0\xf0\0\1", 16));
  CHECK(f.upstream.asked.empty());
  CHECK(f.stats.answered_from_table.value() == 1);
  CHECK(f.stats.services.value() == 1);
  // As a resolver asks that looks in its search domain first.
  f.send(ask("cart.shop.shop.svc"));
  CHECK(answer_count(*f.answered) == 2);
  // It has no address of this family, and nobody else is to say one.
  f.send(ask("cart.shop", kTypeAaaa));
  CHECK(*f.answered == header(7, 0x8580) + question_section("cart.shop", kTypeAaaa));
  CHECK(f.upstream.asked.empty());
}

TEST_CASE("all else is what the platform says") {
  Responding f;
  f.send(ask("a.example"));
  CHECK_FALSE(f.answered);
  REQUIRE(f.upstream.asked.size() == 1);
  CHECK(f.upstream.asked[0].server.to_string() == "10.0.0.53:53");
  f.platform_says("a.example", kTypeA);
  CHECK(f.answered == server_answer("a.example", kTypeA, 7));
  CHECK(f.stats.forwarded.value() == 1);
}

TEST_CASE("what else is asked of a service is for the platform to say, but not that there is no such name") {
  Responding f;
  f.send(ask("cart.shop", kTypeMx));
  f.platform_says("cart.shop", kTypeMx, 0x8183);
  CHECK(f.answered == server_answer("cart.shop", kTypeMx, 7, 0x8180));
  f.send(ask("other.shop", kTypeMx));
  f.platform_says("other.shop", kTypeMx, 0x8183);
  CHECK(rcode_of(*f.answered) == Rcode::kNameError);
}

TEST_CASE("where the platform fails, that is said") {
  Responding f;
  f.send(ask("a.example"));
  f.loop.advance_ms(5'000);
  REQUIRE(f.answered);
  CHECK(*f.answered == header(7, 0x8182) + question_section("a.example", kTypeA));
}

TEST_CASE("an answer of the platform that a client does not take by UDP is cut for it") {
  Responding f;
  const std::string message = ask("a.example");
  const std::string large = std::string(600, 'x');
  for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp}) {
    f.send(message, protocol);
    const auto& last = f.upstream.asked.back();
    CHECK(last.protocol == protocol);
    last.events->on_message(server_answer("a.example", kTypeA, id_of(last.message)) + large);
    f.loop.turn();
    REQUIRE(f.answered);
    CHECK(is_truncated(*f.answered) == (protocol == Protocol::kUdp));
    CHECK((f.answered->size() > large.size()) == (protocol == Protocol::kTcp));
  }
}

TEST_CASE("many addresses come by TCP") {
  Responding f;
  ServiceNames names{{"kafka.shop"}, {}};
  for (int i = 0; i < 200; ++i) names.addresses.push_back(Address::parse_ip("10.2.0." + std::to_string(i), 0));
  f.responder.change_names({{"shop/kafka", names}});
  f.send(ask("kafka.shop"));
  CHECK(is_truncated(*f.answered));
  CHECK(f.answered->size() <= 512);
  f.send(ask("kafka.shop"), Protocol::kTcp);
  CHECK_FALSE(is_truncated(*f.answered));
  CHECK(answer_count(*f.answered) == 200);
  CHECK(f.stats.queries_tcp.value() == 1);
  f.send(header(7, 0, 1, 0, 1) + question_section("kafka.shop", kTypeA) + opt(4096));
  CHECK(answer_count(*f.answered) == 200);
}

TEST_CASE("the addresses of a service take turns") {
  Responding f;
  ServiceNames names{{"kafka.shop"}, {}};
  for (int i = 0; i < 4; ++i) names.addresses.push_back(Address::parse_ip("10.2.0." + std::to_string(i), 0));
  f.responder.change_names({{"shop/kafka", names}});
  std::set<std::string> seen;
  for (int i = 0; i < 64; ++i) {
    f.send(ask("kafka.shop"));
    seen.insert(*f.answered);
  }
  CHECK(seen.size() == 4);
}

TEST_CASE("a version of EDNS that nobody knows yet is refused") {
  Responding f;
  f.send(header(7, 0, 1, 0, 1) + question_section("cart.shop", kTypeA) + opt(1232, 1));
  CHECK(answer_count(*f.answered) == 0);
  CHECK(f.answered->substr(f.answered->size() - 6, 2) == std::string("\1\0", 2));
}

TEST_CASE("what is no question gets an error, or nothing") {
  Responding f;
  f.send(header(9, 0, 0));
  CHECK(*f.answered == header(9, 0x8081, 0));
  f.send(server_answer("cart.shop", kTypeA, 9));
  CHECK(f.answered == "");
  f.send("");
  CHECK(f.answered == "");
  CHECK(f.stats.malformed.value() == 3);
  CHECK(f.stats.queries.value() == 0);
}

TEST_CASE("until the names are known nobody is told that there is none") {
  Responding f(/*known=*/false);
  f.send(ask("pay.shop"));
  CHECK_FALSE(f.answered);
  CHECK(f.upstream.asked.empty());
  SECTION("then it is answered") {
    f.responder.change_names({{"shop/pay", ServiceNames{{"pay.shop"}, {Address::parse_ip("240.240.0.2", 0)}}}});
    CHECK_FALSE(f.answered);
    f.responder.set_known();
    CHECK(answer_count(*f.answered) == 1);
    f.loop.advance_ms(10'000);
    CHECK(f.answers == 1);
  }
  SECTION("or passed on") {
    f.responder.set_known();
    CHECK(f.upstream.asked.size() == 1);
  }
  SECTION("but not for ever") {
    f.loop.advance_ms(Responder::kWaitMs - 1);
    CHECK_FALSE(f.answered);
    f.loop.advance_ms(1);
    CHECK(rcode_of(*f.answered) == Rcode::kServerFailure);
    CHECK(f.stats.not_ready.value() == 1);
  }
  SECTION("and not for any number") {
    for (size_t i = 1; i < Responder::kMaxWaiting; ++i) f.send(ask("pay.shop"));
    CHECK_FALSE(f.answered);
    f.send(ask("pay.shop"));
    CHECK(rcode_of(*f.answered) == Rcode::kServerFailure);
  }
  SECTION("what the table does not answer goes on") {
    f.send(ask("pay.shop", kTypeMx));
    CHECK(f.upstream.asked.size() == 1);
  }
}

TEST_CASE("a responder does not ask itself") {
  Responding f;
  f.responder.set_platform(parse_resolv_conf("nameserver 127.0.0.1\nnameserver 10.0.0.2\n"),
                           {Address::parse_ip("127.0.0.1", 53)});
  f.send(ask("a.example"));
  REQUIRE(f.upstream.asked.size() == 1);
  CHECK(f.upstream.asked[0].server.ip_text() == "10.0.0.2");
}

}  // namespace
}  // namespace weft::dns
