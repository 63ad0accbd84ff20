#include "proxy/filter/rbac/rbac.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "tests/proxy/filter/fake_stream.h"

namespace weft::filter {
namespace {

rbac::Policy paths_from(std::string name, std::string prefix) {
  return {std::move(name), rbac::path({route::StringMatcher::Kind::kPrefix, std::move(prefix), false, nullptr}),
          rbac::always()};
}

std::shared_ptr<const rbac::Rules> rules(rbac::Action action, std::string name, std::string prefix) {
  std::vector<rbac::Policy> policies;
  policies.push_back(paths_from(std::move(name), std::move(prefix)));
  return std::make_shared<const rbac::Rules>(action, std::move(policies));
}

struct Case {
  Case() {
    config.name = "envoy.filters.http.rbac";
    config.stats.rules = std::make_shared<observe::Family<rbac::RulesStats>>("rbac.", "", "", 1);
    config.stats.shadow = std::make_shared<observe::Family<rbac::ShadowRulesStats>>("rbac.", "", "", 1);
  }
  Verdict ask(std::string_view path) {
    stream = std::make_unique<FakeStream>(&route);
    stream->request_head().path = path;
    factory = make_rbac_filter(config);
    Filter* filter = factory->make(*stream);
    made = filter != nullptr;
    if (!made) return Verdict::kContinue;
    Verdict verdict = filter->on_request_head(stream->request_head(), true);
    filter->~Filter();
    return verdict;
  }
  std::string metadata(const char* key, std::string_view name = kRbacMetadata) {
    std::string path[] = {key};
    const http::MetadataValue* found = stream->metadata().find(name, path);
    if (found == nullptr) return "";
    return found->kind == http::MetadataValue::Kind::kBool ? (found->boolean ? "true" : "false")
                                                           : std::string(found->text);
  }
  rbac::RulesStats& counts() { return config.stats.rules->of_worker(0); }
  rbac::ShadowRulesStats& shadow_counts() { return config.stats.shadow->of_worker(0); }

  RbacConfig config;
  FilterFactoryPtr factory;
  route::Route route;
  std::unique_ptr<FakeStream> stream;
  bool made = false;
};

}  // namespace

TEST_CASE("a request that no ALLOW policy matches is answered 403 in Envoy's words") {
  Case test;
  test.config.guard.rules = rules(rbac::Action::kAllow, "viewers", "/cart");
  CHECK(test.ask("/cart/1") == Verdict::kContinue);
  CHECK(test.metadata("enforced_effective_policy_id") == "viewers");
  CHECK(test.metadata("enforced_engine_result") == "allowed");
  CHECK(test.ask("/admin") == Verdict::kReply);
  CHECK(test.stream->status == 403);
  CHECK(test.stream->body == "RBAC: access denied");
  CHECK(test.stream->cause == http::Cause::kAccessDenied);
  CHECK(test.stream->detail == "rbac_access_denied_matched_policy[none]");
  CHECK(test.metadata("enforced_engine_result") == "denied");
  CHECK(test.counts().allowed.value() == 1);
  CHECK(test.counts().denied.value() == 1);
}

TEST_CASE("a refusal by a DENY policy names it") {
  Case test;
  test.config.guard.rules = rules(rbac::Action::kDeny, "no admin", "/admin");
  CHECK(test.ask("/cart") == Verdict::kContinue);
  CHECK(test.ask("/admin") == Verdict::kReply);
  CHECK(test.stream->detail == "rbac_access_denied_matched_policy[no_admin]");
}

TEST_CASE("rules on trial are counted and noted, and refuse nobody") {
  Case test;
  test.config.guard.shadow = rules(rbac::Action::kDeny, "trial", "/admin");
  test.config.shadow_prefix = "trial_";
  CHECK(test.ask("/admin") == Verdict::kContinue);
  CHECK(test.stream->replies == 0);
  CHECK(test.metadata("trial_shadow_engine_result") == "denied");
  CHECK(test.metadata("trial_shadow_effective_policy_id") == "trial");
  CHECK(test.metadata("enforced_engine_result").empty());
  CHECK(test.shadow_counts().shadow_denied.value() == 1);
  CHECK(test.counts().denied.value() == 0);
}

TEST_CASE("a LOG rule lets everything pass and tells the logs what it matched") {
  Case test;
  test.config.guard.rules = rules(rbac::Action::kLog, "audit", "/admin");
  CHECK(test.ask("/admin") == Verdict::kContinue);
  CHECK(test.metadata("access_log_hint", "envoy.common") == "true");
  CHECK(test.ask("/cart") == Verdict::kContinue);
  CHECK(test.metadata("access_log_hint", "envoy.common") == "false");
}

TEST_CASE("a route's own rules, or none, take the place of the filter's") {
  Case test;
  test.config.guard.rules = rules(rbac::Action::kAllow, "viewers", "/cart");
  auto own = std::make_shared<RbacOverride>();
  own->guard.rules = rules(rbac::Action::kAllow, "admins", "/admin");
  test.route.overrides.push_back({"envoy.filters.http.rbac", own});
  CHECK(test.ask("/admin") == Verdict::kContinue);
  CHECK(test.ask("/cart") == Verdict::kReply);
  test.route.overrides[0].value = std::make_shared<RbacOverride>();
  CHECK(test.ask("/cart") == Verdict::kContinue);
  CHECK_FALSE(test.made);
  test.route.overrides[0].filter = "another";
  CHECK(test.ask("/admin") == Verdict::kReply);
}

}  // namespace weft::filter
