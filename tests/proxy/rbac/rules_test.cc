#include "proxy/rbac/rules.h"

#include <catch2/catch.hpp>

#include <random>
#include <string>

namespace weft::rbac {
namespace {

using Kind = route::StringMatcher::Kind;

route::StringMatcher text(Kind kind, std::string value) { return {kind, std::move(value), false, nullptr}; }

Policy policy(std::string name, ConditionPtr permission, ConditionPtr who) {
  return {std::move(name), std::move(permission), std::move(who)};
}

struct Request {
  Request(std::string_view principal, std::string_view path) : path(path), request(arena) {
    tls.peer_verified = !principal.empty();
    tls.peer_uri_sans = {std::string(principal)};
    connection.tls = &tls;
    request.path = this->path;
  }
  Facts facts() const { return {connection, &request}; }
  std::string path;
  base::Arena arena;
  http::RequestHead request;
  transport::TlsInfo tls;
  transport::ConnectionInfo connection;
};

std::vector<Policy> two_policies() {
  std::vector<Policy> policies;
  policies.push_back(policy("b", always(), principal(text(Kind::kExact, "spiffe://b"))));
  policies.push_back(policy("a", path(text(Kind::kExact, "/a")), always()));
  return policies;
}

std::string matched(const Rules& rules, std::string_view who, std::string_view path) {
  Request request(who, path);
  Outcome outcome = rules.judge(request.facts());
  return (outcome.policy == nullptr ? "-" : *outcome.policy) + (outcome.allowed ? " allowed" : " denied");
}

}  // namespace

TEST_CASE("ALLOW lets pass what a policy matches") {
  Rules rules(Action::kAllow, two_policies());
  CHECK(matched(rules, "spiffe://b", "/x") == "b allowed");
  CHECK(matched(rules, "spiffe://c", "/a") == "a allowed");
  CHECK(matched(rules, "spiffe://c", "/x") == "- denied");
  CHECK(matched(rules, "", "/x") == "- denied");
}

TEST_CASE("DENY lets pass what no policy matches") {
  Rules rules(Action::kDeny, two_policies());
  CHECK(matched(rules, "spiffe://b", "/x") == "b denied");
  CHECK(matched(rules, "spiffe://c", "/x") == "- allowed");
}

TEST_CASE("LOG lets everything pass and says what matched") {
  Rules rules(Action::kLog, two_policies());
  CHECK(matched(rules, "spiffe://b", "/x") == "b allowed");
  CHECK(matched(rules, "spiffe://c", "/x") == "- allowed");
}

TEST_CASE("of several policies that match the first by name decides, however it was found") {
  Rules rules(Action::kAllow, two_policies());
  CHECK(matched(rules, "spiffe://b", "/a") == "a allowed");
}

TEST_CASE("without a policy ALLOW refuses and DENY lets pass") {
  CHECK(matched(Rules(Action::kAllow, {}), "spiffe://b", "/a") == "- denied");
  CHECK(matched(Rules(Action::kDeny, {}), "spiffe://b", "/a") == "- allowed");
}

TEST_CASE("a refusal tells its policy in one word") {
  std::vector<Policy> policies;
  policies.push_back(policy("no entry\there", always(), always()));
  Rules rules(Action::kDeny, std::move(policies));
  Request request("spiffe://b", "/");
  CHECK(rules.judge(request.facts()).detail == "rbac_access_denied_matched_policy[no_entry_here]");
}

TEST_CASE("looking policies up finds what asking each of them in turn finds") {
  std::mt19937 random(7);
  auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  auto who = [&](uint32_t i) { return "spiffe://" + std::to_string(i); };
  auto where = [&](uint32_t i) { return "/" + std::to_string(i); };
  for (int round = 0; round < 200; ++round) {
    auto exact_or_prefix = [&] { return below(3) == 0 ? Kind::kPrefix : Kind::kExact; };
    std::vector<Policy> policies, same;
    for (uint32_t i = 0; i < 12; ++i) {
      auto principals = [&, kind = exact_or_prefix(), a = below(4), b = below(4), any = below(4) == 0] {
        Conditions parts;
        parts.push_back(principal(text(kind, who(a))));
        parts.push_back(principal(text(Kind::kExact, who(b))));
        return any ? always() : any_of(std::move(parts));
      };
      auto paths = [&, kind = exact_or_prefix(), a = below(4), any = below(2) == 0] {
        return any ? always() : path(text(kind, where(a)));
      };
      std::string name = "p" + std::to_string(10 + i);
      policies.push_back(policy(name, paths(), principals()));
      same.push_back(policy(name, paths(), principals()));
    }
    Rules rules(Action::kAllow, std::move(policies));
    for (uint32_t i = 0; i < 25; ++i) {
      Request request(who(i % 5), where(i / 5));
      const std::string* expected = nullptr;
      for (const Policy& each : same) {
        if (!each.principal->holds(request.facts()) || !each.permission->holds(request.facts())) continue;
        expected = &each.name;
        break;
      }
      Outcome outcome = rules.judge(request.facts());
      REQUIRE(outcome.allowed == (expected != nullptr));
      if (expected != nullptr) REQUIRE(*outcome.policy == *expected);
    }
  }
}

}  // namespace weft::rbac
