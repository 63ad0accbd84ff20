#include "control-plane/inject/settings.h"

#include <catch2/catch.hpp>

namespace weft::control::inject {
namespace {

std::string refusal(const char* text) {
  absl::StatusOr<Settings> settings = read_settings(text, "i.yaml");
  return settings.ok() ? "accepted" : std::string(settings.status().message());
}

TEST_CASE("a configuration goes over what holds when nothing is set") {
  const absl::StatusOr<Settings> settings = read_settings(
      "image: registry.example/weft-proxy:1\nimagePullPolicy: Always\ncontrolAddress: \"[fd00::1]:15010\"\n"
      "caConfigMap: mesh-ca\ntokenSecret: join\nform: classic\nholdApplication: false\nrewriteProbes: false\n"
      "dns: true\n"
      "logLevel: debug\nresources: {cpu: 200m, memoryLimit: 1Gi}\n"
      "interception: {excludeInboundPorts: [22, 9100], includeOutboundCidrs: [10.0.0.0/8]}\n",
      "i.yaml");
  INFO(settings.status().message());
  REQUIRE(settings.ok());
  CHECK(settings->image == "registry.example/weft-proxy:1");
  CHECK(settings->image_pull_policy == "Always");
  CHECK(settings->control_address == "[fd00::1]:15010");
  CHECK(settings->ca_config_map == "mesh-ca");
  CHECK(settings->token_secret == "join");
  CHECK(!settings->native);
  CHECK(!settings->hold_application);
  CHECK(!settings->rewrite_probes);
  CHECK(settings->dns);
  CHECK(settings->log_level == "debug");
  CHECK(settings->cpu == "200m");
  CHECK(settings->memory == "64Mi");
  CHECK(settings->memory_limit == "1Gi");
  CHECK(settings->exclude_inbound_ports == "22,9100");
  CHECK(settings->include_outbound_cidrs == "10.0.0.0/8");
  CHECK(read_settings("{}\n", "i.yaml")->image == default_settings().image);
}

TEST_CASE("a configuration's mistakes are told by place") {
  CHECK(refusal("imagee: x\n").find("i.yaml:1:1") == 0);
  CHECK(refusal("form: modern\nlogLevel: loud\n") ==
        "i.yaml:1:1: form: expected native or classic; got \"modern\"\n"
        "i.yaml:2:1: logLevel: expected one of trace, debug, info, warning, error, critical, off; got \"loud\"");
  CHECK(refusal("resources: {cpu: \"1.2.3\"}\n").find("i.yaml:1:13: resources.cpu: expected a quantity") == 0);
  CHECK(refusal("controlAddress: weft-control\n").find("i.yaml:1:1: controlAddress: expected HOST:PORT") == 0);
  CHECK(refusal("ca: nothing\n") == "i.yaml:1:1: ca: expected certificates in PEM");
  CHECK(refusal("ca: |\n  -----BEGIN CERTIFICATE-----\n  -----BEGIN PRIVATE KEY-----\n") ==
        "i.yaml:1:1: ca: expected certificates alone, without any key");
  CHECK(refusal("interception: {excludeInboundPorts: [70000]}\n").find("expected ports from 1 to 65535") !=
        std::string::npos);
  CHECK(refusal("interception: {excludeOutboundCidrs: [10.0.0.0/33]}\n").find("expected addresses or CIDRs") !=
        std::string::npos);
  CHECK(refusal("ca: x\ncaConfigMap: y\n") != "accepted");
}

TEST_CASE("lists, quantities and addresses are checked") {
  const auto takes = [](std::string_view name, const char* value) {
    Settings settings;
    return override_setting(name, value, &settings).ok();
  };
  for (const char* good : {"", "80", "80, 443", "1,65535"}) CHECK(takes("exclude-inbound-ports", good));
  for (const char* bad : {"0", "65536", "80;443", "http", "-1", "80 443"}) CHECK(!takes("exclude-inbound-ports", bad));
  for (const char* good : {"", "10.0.0.0/8", "10.1.2.3", "fd00::/8,::1", "0.0.0.0/0"}) {
    CHECK(takes("include-outbound-cidrs", good));
  }
  for (const char* bad : {"10.0.0.0/33", "10.0/8", "fd00::/129", "host", "10.0.0.0/", "*"}) {
    CHECK(!takes("include-outbound-cidrs", bad));
  }
  for (const char* good : {"1", "100m", "0.5", "64Mi", "1Gi", ".5", "2k"}) CHECK(takes("proxy-cpu", good));
  for (const char* bad : {"", "-1", "1.2.3", "m", "1MB", "1 Gi", "one"}) CHECK(!takes("proxy-cpu", bad));
  for (const char* good : {"127.0.0.1:15010", "[::1]:1", "a.b.svc:15010"}) CHECK(takes("control-address", good));
  for (const char* bad : {"", ":1", "::1:1", "a", "a:0", "a:70000", "a b:1"}) CHECK(!takes("control-address", bad));
  for (const char* bad : {"", "two words", "a\nb"}) CHECK(!takes("proxy-image", bad));
  CHECK(!takes("nonsense", "1"));
}

}  // namespace
}  // namespace weft::control::inject
