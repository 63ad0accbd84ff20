#include "proxy/cluster/dns_discovery.h"

#include <catch2/catch.hpp>

namespace weft::cluster {
namespace {

// Answers when the test says so.
struct FakeResolver final : DnsResolver {
  void resolve(const std::string& name, DnsFamily, std::function<void(absl::StatusOr<DnsAnswer>)> done) override {
    asked.push_back(name);
    open.push_back({name, std::move(done)});
  }
  void answer(const std::string& name, absl::StatusOr<DnsAnswer> with) {
    for (auto each = open.begin(); each != open.end(); ++each) {
      if (each->name != name) continue;
      auto done = std::move(each->done);
      open.erase(each);
      return done(std::move(with));
    }
    FAIL("nobody asked for " << name);
  }
  struct Question {
    std::string name;
    std::function<void(absl::StatusOr<DnsAnswer>)> done;
  };
  std::vector<std::string> asked;
  std::vector<Question> open;
};

DnsAnswer addresses(std::initializer_list<const char*> ips, int64_t ttl_s = 0) {
  DnsAnswer answer;
  for (const char* ip : ips) answer.addresses.push_back(transport::Address::parse_ip(ip, 0));
  answer.ttl_s = ttl_s;
  return answer;
}

struct Fixture {
  explicit Fixture(const std::function<void(ClusterConfig&)>& change = nullptr) {
    ClusterConfig config;
    config.name = config.stat_name = "c";
    config.discovery = DiscoveryType::kStrictDns;
    config.dns_endpoints = {{"one.test", 80, 1, 0}};
    config.dns_refresh_ms = 5'000;
    if (change != nullptr) change(config);
    cluster = std::make_shared<Cluster>(std::move(config), 1);
    discovery = std::make_unique<DnsDiscovery>(loop, random, resolver, cluster, [this] { ++ready; });
    discovery->start();
  }
  std::string hosts() const {
    std::string text;
    HostSetPtr set = cluster->hosts();
    for (const auto& level : set->priorities) {
      for (const HostPtr& host : level) text += host->address_text() + " ";
      text += "|";
    }
    return text;
  }
  size_t asked() const { return resolver.asked.size(); }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  base::Random random{1};
  FakeResolver resolver;
  ClusterPtr cluster;
  std::unique_ptr<DnsDiscovery> discovery;
  int ready = 0;
};

TEST_CASE("every address of every name is an endpoint, with its port and priority") {
  Fixture fixture([](auto& config) {
    config.dns_endpoints = {{"one.test", 80, 1, 0}, {"two.test", 81, 1, 0}, {"spare.test", 82, 1, 1}};
  });
  fixture.resolver.answer("one.test", addresses({"10.0.0.2", "10.0.0.1"}));
  CHECK(fixture.hosts() == "10.0.0.1:80 10.0.0.2:80 ||");
  fixture.resolver.answer("two.test", addresses({"10.0.0.1"}));
  CHECK(fixture.ready == 0);
  fixture.resolver.answer("spare.test", addresses({"10.0.0.9"}));
  CHECK(fixture.hosts() == "10.0.0.1:80 10.0.0.2:80 10.0.0.1:81 |10.0.0.9:82 |");
  CHECK(fixture.ready == 1);
}

TEST_CASE("a logical cluster has the first address of its answer") {
  Fixture fixture([](auto& config) { config.discovery = DiscoveryType::kLogicalDns; });
  fixture.resolver.answer("one.test", addresses({"10.0.0.2", "10.0.0.1"}));
  CHECK(fixture.hosts() == "10.0.0.2:80 |");
}

TEST_CASE("a cluster is ready when each name was answered or failed, once") {
  Fixture fixture([](auto& config) { config.dns_endpoints = {{"one.test", 80, 1, 0}, {"two.test", 81, 1, 0}}; });
  fixture.resolver.answer("one.test", absl::UnavailableError("one.test: time-out"));
  CHECK(fixture.ready == 0);
  fixture.resolver.answer("two.test", addresses({"10.0.0.1"}));
  CHECK(fixture.ready == 1);
  fixture.loop.advance_ms(5'000);
  fixture.resolver.answer("one.test", addresses({"10.0.0.2"}));
  CHECK(fixture.ready == 1);
}

TEST_CASE("a failure and an empty answer leave the last one in force") {
  Fixture fixture;
  fixture.resolver.answer("one.test", addresses({"10.0.0.1"}));
  fixture.loop.advance_ms(5'000);
  fixture.resolver.answer("one.test", absl::UnavailableError("one.test: server failure"));
  CHECK(fixture.hosts() == "10.0.0.1:80 |");
  fixture.loop.advance_ms(5'000);
  fixture.resolver.answer("one.test", addresses({}));
  CHECK(fixture.hosts() == "10.0.0.1:80 |");
  auto& stats = fixture.cluster->stats(0);
  CHECK(stats.update_attempt.value() == 3);
  CHECK(stats.update_success.value() == 1);
  CHECK(stats.update_failure.value() == 1);
  CHECK(stats.update_empty.value() == 1);
}

TEST_CASE("names are asked for again at the refresh rate, or when their TTL is over if that is respected") {
  bool respect = GENERATE(false, true);
  Fixture fixture([&](auto& config) { config.respect_dns_ttl = respect; });
  fixture.resolver.answer("one.test", addresses({"10.0.0.1"}, 30));
  int64_t wait_ms = respect ? 30'000 : 5'000;
  fixture.loop.advance_ms(wait_ms - 1);
  CHECK(fixture.asked() == 1);
  fixture.loop.advance_ms(1);
  CHECK(fixture.asked() == 2);
}

TEST_CASE("a TTL of zero means the refresh rate") {
  Fixture fixture([](auto& config) { config.respect_dns_ttl = true; });
  fixture.resolver.answer("one.test", addresses({"10.0.0.1"}, 0));
  fixture.loop.advance_ms(4'999);
  CHECK(fixture.asked() == 1);
  fixture.loop.advance_ms(1);
  CHECK(fixture.asked() == 2);
}

TEST_CASE("after failures the next question comes within the bound of the failure refresh rate") {
  Fixture fixture([](auto& config) {
    config.dns_refresh_ms = 1'000'000;
    config.dns_failure_refresh_base_ms = 100;
    config.dns_failure_refresh_max_ms = 400;
  });
  for (size_t failures = 1; failures <= 20; ++failures) {
    fixture.resolver.answer("one.test", absl::UnavailableError("one.test: time-out"));
    fixture.loop.advance_ms(401);
    REQUIRE(fixture.asked() == failures + 1);
  }
  fixture.resolver.answer("one.test", addresses({"10.0.0.1"}));
  fixture.loop.advance_ms(900'000);
  CHECK(fixture.asked() == 21);
}

TEST_CASE("hosts that stay in the answer are the same objects, and the same answer changes nothing") {
  Fixture fixture;
  fixture.resolver.answer("one.test", addresses({"10.0.0.1", "10.0.0.2"}));
  HostPtr kept = fixture.cluster->hosts()->priorities[0][1];
  uint64_t version = fixture.cluster->hosts_version();
  fixture.loop.advance_ms(5'000);
  fixture.resolver.answer("one.test", addresses({"10.0.0.2", "10.0.0.1"}));
  CHECK(fixture.cluster->hosts_version() == version);
  CHECK(fixture.cluster->stats(0).update_no_rebuild.value() == 1);
  fixture.loop.advance_ms(5'000);
  fixture.resolver.answer("one.test", addresses({"10.0.0.2", "10.0.0.3"}));
  CHECK(fixture.hosts() == "10.0.0.2:80 10.0.0.3:80 |");
  CHECK(fixture.cluster->hosts()->priorities[0][0] == kept);
}

TEST_CASE("an answer that comes after its cluster went is dropped") {
  Fixture fixture;
  fixture.discovery.reset();
  fixture.resolver.answer("one.test", addresses({"10.0.0.1"}));
  CHECK(fixture.hosts().empty());
}

}  // namespace
}  // namespace weft::cluster
