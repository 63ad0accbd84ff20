#include "proxy/cluster/dns_resolver.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/proxy/cluster/dns_server.h"
#include "tests/proxy/transport/loop_driver.h"

namespace weft::cluster {
namespace {

constexpr uint16_t kA = 1, kAaaa = 28;

struct Fixture {
  explicit Fixture(std::function<DnsReply(const DnsQuestion&)> decide) : server(driver.loop(), std::move(decide)) {
    auto made = DnsResolver::make(driver.loop(), {server.address()});
    REQUIRE(made.ok());
    resolver = *std::move(made);
  }
  absl::StatusOr<DnsAnswer> resolve(const std::string& name, DnsFamily family = DnsFamily::kV4Only) {
    std::optional<absl::StatusOr<DnsAnswer>> result;
    resolver->resolve(name, family, [&](absl::StatusOr<DnsAnswer> answer) { result = std::move(answer); });
    REQUIRE(driver.run_until([&] { return result.has_value(); }));
    return *std::move(result);
  }
  std::string addresses(const std::string& name, DnsFamily family) {
    auto answer = resolve(name, family);
    REQUIRE(answer.ok());
    std::string text;
    for (const auto& address : answer->addresses) text += (text.empty() ? "" : " ") + address.ip_text();
    return text;
  }
  bool asked(uint16_t type) const {
    return std::any_of(server.questions.begin(), server.questions.end(),
                       [&](const DnsQuestion& each) { return each.type == type; });
  }

  transport::testing::LoopDriver driver;
  DnsServer server;
  std::unique_ptr<DnsResolver> resolver;
};

DnsReply none(const DnsQuestion&) { return {}; }
DnsReply no_such_name(const DnsQuestion&) {
  DnsReply reply;
  reply.code = DnsReply::kNoSuchName;
  return reply;
}

TEST_CASE("an answer has all addresses, and the least TTL of its records") {
  Fixture fixture([](const DnsQuestion&) { return DnsReply{{a("10.0.0.1", 60), a("10.0.0.2", 7)}}; });
  auto answer = fixture.resolve("service.test");
  REQUIRE(answer.ok());
  REQUIRE(answer->addresses.size() == 2);
  CHECK(answer->ttl_s == 7);
  CHECK(answer->addresses[0].port == 0);
  CHECK(fixture.server.questions[0].name == "service.test");
  CHECK_FALSE(fixture.asked(kAaaa));
}

TEST_CASE("a name that does not exist, or has no address, is an answer without addresses") {
  for (auto decide : {none, no_such_name}) {
    Fixture fixture(decide);
    auto answer = fixture.resolve("gone.test");
    REQUIRE(answer.ok());
    CHECK(answer->addresses.empty());
  }
}

TEST_CASE("a server that fails is an error that names what was asked") {
  Fixture fixture([](const DnsQuestion&) {
    DnsReply reply;
    reply.code = DnsReply::kServerFailure;
    return reply;
  });
  auto answer = fixture.resolve("service.test");
  REQUIRE_FALSE(answer.ok());
  CHECK(absl::IsUnavailable(answer.status()));
  CHECK(std::string(answer.status().message()).find("service.test") != std::string::npos);
}

TEST_CASE("a name of which one family cannot be asked for has the addresses of the other, or is an error") {
  for (bool has_other : {true, false}) {
    Fixture fixture([&](const DnsQuestion& question) {
      DnsReply reply;
      if (question.type == kAaaa) {
        reply.code = DnsReply::kServerFailure;
      } else if (has_other) {
        reply.records = {a("10.0.0.1", 60)};
      }
      return reply;
    });
    auto answer = fixture.resolve("service.test", DnsFamily::kAuto);
    CHECK(answer.ok() == has_other);
    if (has_other) CHECK(answer->addresses.size() == 1);
    CHECK(fixture.asked(kA));
  }
}

TEST_CASE("the family asked for decides which addresses come, and which are a second choice") {
  Fixture both([](const DnsQuestion& question) {
    return question.type == kA ? DnsReply{{a("10.0.0.1", 60)}} : DnsReply{{aaaa("fd00::1", 60)}};
  });
  CHECK(both.addresses("x.test", DnsFamily::kV4Only) == "10.0.0.1");
  CHECK(both.addresses("x.test", DnsFamily::kV6Only) == "fd00::1");
  CHECK(both.addresses("x.test", DnsFamily::kAuto) == "fd00::1");
  CHECK(both.addresses("x.test", DnsFamily::kV4Preferred) == "10.0.0.1");
  auto all = both.resolve("x.test", DnsFamily::kAll);
  REQUIRE(all.ok());
  CHECK(all->addresses.size() == 2);

  Fixture only_4([](const DnsQuestion& q) { return q.type == kA ? DnsReply{{a("10.0.0.1", 60)}} : DnsReply{}; });
  CHECK(only_4.addresses("x.test", DnsFamily::kAuto) == "10.0.0.1");
  CHECK(only_4.addresses("x.test", DnsFamily::kV6Only).empty());

  Fixture only_6([](const DnsQuestion& q) { return q.type == kAaaa ? DnsReply{{aaaa("fd00::1", 60)}} : DnsReply{}; });
  CHECK(only_6.addresses("x.test", DnsFamily::kV4Preferred) == "fd00::1");
  CHECK(only_6.addresses("x.test", DnsFamily::kV4Only).empty());
}

TEST_CASE("a truncated answer is asked for again by TCP") {
  Fixture fixture([](const DnsQuestion& question) {
    DnsReply reply;
    reply.truncated = true;
    if (question.tcp) {
      for (int i = 1; i <= 60; ++i) reply.records.push_back(a(("10.0.0." + std::to_string(i)).c_str(), 60));
    }
    return reply;
  });
  auto answer = fixture.resolve("many.test");
  REQUIRE(answer.ok());
  CHECK(answer->addresses.size() == 60);
  CHECK(fixture.server.questions.back().tcp);
}

TEST_CASE("datagrams that are no answer are passed over") {
  Fixture fixture([](const DnsQuestion&) {
    DnsReply reply{{a("10.0.0.1", 60)}};
    reply.datagrams_before = {"", "x", std::string(12, '\0'), std::string(500, '\xff')};
    return reply;
  });
  CHECK(fixture.addresses("service.test", DnsFamily::kV4Only) == "10.0.0.1");
}

TEST_CASE("an answer whose records are broken is an error or empty, never an address") {
  // A pointer to itself, a name without an end, a record cut short, an address of the wrong length.
  const std::string pointer_loop("\xc0\x1e\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1", 16);
  const std::string endless_name(63, '\x3f');
  const std::string cut("\xc0\x0c\0\1\0\1\0\0", 8);
  const std::string long_data("\xc0\x0c\0\1\0\1\0\0\0\x3c\xff\xff\x0a\0\0\1", 16);
  const std::string short_address("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\2\x0a\0", 14);
  for (const std::string& bytes : {pointer_loop, endless_name, cut, long_data, short_address}) {
    Fixture fixture([&](const DnsQuestion&) {
      DnsReply reply;
      reply.bytes_instead_of_records = bytes;
      return reply;
    });
    auto answer = fixture.resolve("h.test");
    CHECK((!answer.ok() || answer->addresses.empty()));
  }
}

TEST_CASE("a literal address is its own answer, without a question") {
  Fixture fixture(no_such_name);
  CHECK(fixture.addresses("192.0.2.7", DnsFamily::kV4Only) == "192.0.2.7");
  CHECK(fixture.addresses("2001:db8::7", DnsFamily::kV6Only) == "2001:db8::7");
  CHECK(fixture.server.questions.empty());
}

TEST_CASE("a resolver that goes with questions open calls nobody") {
  bool called = false;
  Fixture fixture(none);
  fixture.resolver->resolve("service.test", DnsFamily::kAll, [&](auto) { called = true; });
  fixture.resolver.reset();
  CHECK_FALSE(called);
}

}  // namespace
}  // namespace weft::cluster
