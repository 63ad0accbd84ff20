#include "api/text/unsupported.h"

#include <catch2/catch.hpp>

#include "api/text/parse.h"
#include "envoy/config/cluster/v3/cluster.pb.h"

namespace weft::text {
namespace {

using envoy::config::cluster::v3::Cluster;

struct Parsed {
  Cluster cluster;
  Source source;
};

Parsed parsed(std::string_view text) {
  Parsed out;
  ParseOptions options;
  options.keep_unknown_types = true;
  const absl::Status status = parse(text, "c.yaml", &out.cluster, options, &out.source);
  INFO(status.message());
  REQUIRE(status.ok());
  return out;
}

std::vector<std::string> messages(std::string_view text, std::vector<std::string_view> entries,
                                  std::vector<std::string_view> refused = {}) {
  const absl::Status checked = SupportedFields::check(entries);
  INFO(checked.message());
  REQUIRE(checked.ok());
  const SupportedFields supported(entries, refused);
  const Parsed input = parsed(text);
  std::vector<std::string> out;
  for (const Unsupported& found : find_unsupported(input.cluster, supported, &input.source.positions)) {
    CHECK(found.position.known());
    out.push_back(found.message);
  }
  return out;
}

using Messages = std::vector<std::string>;

TEST_CASE("a set field that no entry names is found, with its place") {
  CHECK(messages("name: a\nconnect_timeout: 1s\n", {"envoy.config.cluster.v3.Cluster.name"}) ==
        Messages{"c.yaml:2:1: connect_timeout: this field is not supported"});
  CHECK(messages("name: a\nconnect_timeout: 1s\n", {"envoy.config.cluster.v3.Cluster.*"}).empty());
  CHECK(messages("{}", {}).empty());
}

TEST_CASE("fields below a supported one need their own entries") {
  constexpr std::string_view kText = "health_checks:\n- timeout: 1s\n- interval: 1s\n  timeout: 1s\n";
  CHECK(
      messages(kText, {"envoy.config.cluster.v3.Cluster.health_checks", "envoy.config.core.v3.HealthCheck.timeout"}) ==
      Messages{"c.yaml:3:3: health_checks[1].interval: this field is not supported"});
  CHECK(messages(kText, {"envoy.config.cluster.v3.Cluster.*", "envoy.config.core.v3.HealthCheck.**"}).empty());
}

TEST_CASE("an enum with listed values is limited to them") {
  const std::vector<std::string_view> entries = {"envoy.config.cluster.v3.Cluster.*",
                                                 "envoy.config.cluster.v3.Cluster.LbPolicy.ROUND_ROBIN",
                                                 "envoy.config.cluster.v3.Cluster.LbPolicy.RANDOM"};
  CHECK(messages("lb_policy: RANDOM", entries).empty());
  CHECK(messages("lb_policy: maglev", entries) == Messages{"c.yaml:1:1: lb_policy: the value MAGLEV is not supported"});
  CHECK(messages("dns_lookup_family: ALL", entries).empty());
}

TEST_CASE("messages in an Any are checked like any other") {
  constexpr std::string_view kText = R"(
typed_extension_protocol_options:
  a: {"@type": t/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true}
)";
  CHECK(messages(kText, {"envoy.config.cluster.v3.Cluster.*"}) ==
        Messages{"c.yaml:3:3: typed_extension_protocol_options[\"a\"]: the type "
                 "envoy.extensions.filters.http.router.v3.Router is not supported"});
  CHECK(messages(kText, {"envoy.config.cluster.v3.Cluster.*", "envoy.extensions.filters.http.router.v3.Router"}) ==
        Messages{"c.yaml:3:66: typed_extension_protocol_options[\"a\"].suppress_envoy_headers: this field is not "
                 "supported"});
  CHECK(messages(kText, {"envoy.config.cluster.v3.Cluster.*", "envoy.extensions.filters.http.router.v3.Router.*"})
            .empty());
}

TEST_CASE("a type that is not ours is found by its name") {
  CHECK(messages("typed_extension_protocol_options: {a: {\"@type\": x/foo.Bar, b: 1}}",
                 {"envoy.config.cluster.v3.Cluster.*"}) ==
        Messages{"c.yaml:1:36: typed_extension_protocol_options[\"a\"]: the type foo.Bar is not supported"});
  Cluster cluster;
  auto& any = (*cluster.mutable_typed_extension_protocol_options())["k"];
  any.set_type_url("x/envoy.config.cluster.v3.Cluster");
  any.set_value("\xFF");
  const std::string_view entries[] = {"envoy.config.cluster.v3.Cluster.*"};
  const auto found = find_unsupported(cluster, SupportedFields(entries));
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == Unsupported::Kind::kMalformed);
  CHECK(found[0].message ==
        "typed_extension_protocol_options[\"k\"]: the bytes are no envoy.config.cluster.v3.Cluster");
}

TEST_CASE("a refused path narrows what is supported") {
  const std::vector<std::string_view> entries = {"envoy.config.cluster.v3.Cluster.*",
                                                 "envoy.config.core.v3.HealthCheck.*"};
  constexpr std::string_view kText = "health_checks: [{timeout: 1s}, {interval: 1s}]\nconnect_timeout: 1s";
  CHECK(messages(kText, entries).empty());
  CHECK(messages(kText, entries, {"health_checks[*].interval"}).size() == 1);
  CHECK(messages(kText, entries, {"**.interval"}).size() == 1);
  CHECK(messages(kText, entries, {"**.timeout", "connect_timeout"}).size() == 2);
  CHECK(messages(kText, entries, {"health_checks[1]"}).size() == 1);
  CHECK(messages(kText, entries, {"interval", "health_checks[*]x"}).empty());
}

TEST_CASE("a table that names what does not exist is refused") {
  const std::string_view entries[] = {"envoy.config.cluster.v3.Cluster.name", "envoy.config.cluster.v3.Cluster.nam",
                                      "no.such.Message.*", "envoy.config.cluster.v3.Cluster.LbPolicy.BEST",
                                      "envoy.config.cluster.v3.Cluster.EdsClusterConfig"};
  CHECK(SupportedFields::check(entries).message() ==
        "the table of supported fields names what does not exist: envoy.config.cluster.v3.Cluster.nam, "
        "no.such.Message.*, envoy.config.cluster.v3.Cluster.LbPolicy.BEST, "
        "envoy.config.cluster.v3.Cluster.EdsClusterConfig");
}

}  // namespace
}  // namespace weft::text
