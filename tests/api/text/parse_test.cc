#include "api/text/parse.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "api/text/print.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/common.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"
#include "xds/type/v3/typed_struct.pb.h"

namespace weft::text {
namespace {

using envoy::config::bootstrap::v3::Bootstrap;
using envoy::config::cluster::v3::Cluster;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

Cluster cluster(std::string_view text, std::string_view name = "c.yaml") {
  Cluster out;
  const absl::Status status = parse(text, name, &out);
  INFO(status.message());
  CHECK(status.ok());
  return out;
}

std::string mistakes(std::string_view text, std::string_view name = "c.yaml", const ParseOptions& options = {}) {
  Cluster out;
  out.set_name("stale");
  const absl::Status status = parse(text, name, &out, options);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(out.name().empty());
  return std::string(status.message());
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

constexpr std::string_view kBootstrap = R"(
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
static_resources:
  listeners:
  - name: front
    address:
      socket_address: {protocol: tcp, address: 0.0.0.0, port_value: 0x2710}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: auto
          access_log:
          - name: stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {json_format: {status: "%RESPONSE_CODE%", n: 1, ok: yes, none: null, list: [a, 1.5]}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: app, timeout: 0.25s}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: strict_dns
    lb_policy: Round_Robin
    connect_timeout: 1.5s
    circuit_breakers:
      thresholds: {priority: high, max_connections: 10}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 100}}
    load_assignment:
      cluster_name: app
      endpoints:
        lb_endpoints:
        - endpoint: {address: {socket_address: {address: localhost, port_value: 8080}}}
)";

TEST_CASE("a bootstrap as people write it is read whole") {
  Bootstrap bootstrap;
  Source source;
  const absl::Status status = parse(kBootstrap, "envoy.yaml", &bootstrap, {}, &source);
  INFO(status.message());
  REQUIRE(status.ok());
  const auto& listener = bootstrap.static_resources().listeners(0);
  CHECK(listener.address().socket_address().port_value() == 10000);
  HttpConnectionManager manager;
  REQUIRE(listener.filter_chains(0).filters(0).typed_config().UnpackTo(&manager));
  CHECK(manager.codec_type() == HttpConnectionManager::AUTO);
  CHECK(manager.route_config().virtual_hosts(0).routes(0).route().timeout().nanos() == 250'000'000);
  const Cluster& app = bootstrap.static_resources().clusters(0);
  CHECK(app.type() == Cluster::STRICT_DNS);
  CHECK(app.connect_timeout().seconds() == 1);
  CHECK(app.circuit_breakers().thresholds(0).max_connections().value() == 10);
  CHECK(app.load_assignment().endpoints(0).lb_endpoints(0).endpoint().address().socket_address().address() ==
        "localhost");
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  REQUIRE(app.typed_extension_protocol_options()
              .at("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
              .UnpackTo(&options));
  CHECK(options.explicit_http_config().http2_protocol_options().max_concurrent_streams().value() == 100);
}

TEST_CASE("positions lead from field paths to the file, through an Any too") {
  Bootstrap bootstrap;
  Source source;
  REQUIRE(parse(kBootstrap, "envoy.yaml", &bootstrap, {}, &source).ok());
  const PositionMap& positions = source.positions;
  CHECK(positions.find("static_resources.clusters[0].connect_timeout").line == 35);
  CHECK(positions.find("static_resources.clusters[0].connect_timeout").column == 5);
  const std::string manager = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
  CHECK(positions.find(manager + ".codec_type").line == 15);
  CHECK(positions.locate(manager + ".route_config.virtual_hosts[0].routes[0].route.timeout") ==
        "envoy.yaml:27:39: " + manager + ".route_config.virtual_hosts[0].routes[0].route.timeout");
  const std::string options =
      "static_resources.clusters[0].typed_extension_protocol_options"
      "[\"envoy.extensions.upstreams.http.v3.HttpProtocolOptions\"]";
  CHECK(positions.find(options).line == 39);
  // What was not written stands where the next outer thing was.
  CHECK(positions.find("static_resources.clusters[0].name_that_is_not_there.x[3]").line == 32);
  CHECK(positions.find("static_resources.clusters[0].load_assignment.endpoints[0].priority").line == 45);
}

TEST_CASE("paths are in JSON's names where these are what people write, and lines count from the part's first") {
  ParseOptions options;
  options.json_names = true;
  options.first_line = 101;
  CHECK(mistakes("name: a\nlbPolicy: WHO\n", "c.yaml", options).starts_with("c.yaml:102:11: lbPolicy: expected"));
  CHECK(contains(mistakes("name: a\nlbPolicies: x\n", "c.yaml", options), "did you mean lbPolicy?"));
  CHECK(mistakes("name: [\n", "c.yaml", options).starts_with("c.yaml:10"));
  CHECK(mistakes("name: a\nalt: \"\xff\"\n", "c.yaml", options).starts_with("c.yaml:102:7: not UTF-8"));
  Cluster parsed;
  Source source;
  REQUIRE(parse("lbPolicy: RANDOM\n", "c.yaml", &parsed, options, &source).ok());
  CHECK(source.positions.locate("lbPolicy") == "c.yaml:101:1: lbPolicy");
}

TEST_CASE("JSON is read by both spellings of names") {
  const Cluster snake = cluster(R"({"name": "a", "connect_timeout": "3s", "lb_policy": 2})", "c.json");
  const Cluster camel = cluster(R"({"name": "a", "connectTimeout": "3s", "lbPolicy": "RING_HASH"})", "c.json");
  CHECK(snake.SerializeAsString() == camel.SerializeAsString());
  CHECK(snake.lb_policy() == Cluster::RING_HASH);
}

TEST_CASE("a text without a telling name is JSON when it begins with a brace") {
  CHECK(cluster("  {\"name\": \"\\ud83d\\ude00\"}", "stdin").name() == "\xF0\x9F\x98\x80");
  CHECK(cluster("name: b", "stdin").name() == "b");
  ParseOptions options;
  options.format = ParseOptions::Format::kJson;
  CHECK(contains(mistakes("name: b", "c.yaml", options), "not JSON"));
}

TEST_CASE("a text that says what it is can be looked into before it is read") {
  for (const std::string_view text : {"name: a\nconnect_timeout: 1s\nlb_policy: [x]\n",
                                      "{\"name\": \"a\", \"connect_timeout\": \"1s\", \"lb_policy\": [1]}"}) {
    const absl::StatusOr<Untyped> untyped = Untyped::read(text, "c", {});
    REQUIRE(untyped.ok());
    CHECK(untyped->scalar("name") == "a");
    CHECK(untyped->scalar("connect_timeout") == "1s");
    CHECK(untyped->scalar("lb_policy").empty());
    CHECK(untyped->scalar("type").empty());
    Cluster out;
    const absl::Status status = untyped->parse(&out);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(contains(std::string(status.message()), "lb_policy"));
  }
  CHECK(Untyped::read("- a\n", "c", {})->scalar("a").empty());
  CHECK(Untyped::read("", "c", {})->scalar("a").empty());
  const absl::StatusOr<Untyped> broken = Untyped::read("a: [", "c.yaml", {});
  CHECK(contains(std::string(broken.status().message()), "c.yaml:1:"));
  Source source;
  Cluster out;
  REQUIRE(Untyped::read("name: a\n", "c.yaml", {})->parse(&out, &source).ok());
  CHECK(out.name() == "a");
  CHECK(source.positions.locate("name") == "c.yaml:1:1: name");
}

TEST_CASE("all of the JSON mapping's scalars are read") {
  const Cluster out = cluster(R"(
per_connection_buffer_limit_bytes: "1024"
common_lb_config: {healthy_panic_threshold: {value: 12.5}}
track_timeout_budgets: TRUE
ignore_health_on_host_removal: "yes"
dns_refresh_rate: {seconds: 2, nanos: 500}
dns_failure_refresh_rate: {base_interval: -0.000000001s}
max_requests_per_connection: {value: 7}
metadata:
  filter_metadata:
    a: {s: text, n: 1, f: 2.5, b: no, z: ~, l: [1, {}], q: "5"}
)");
  CHECK(out.per_connection_buffer_limit_bytes().value() == 1024);
  CHECK(out.common_lb_config().healthy_panic_threshold().value() == 12.5);
  CHECK(out.track_timeout_budgets());
  CHECK(out.ignore_health_on_host_removal());
  CHECK(out.dns_refresh_rate().nanos() == 500);
  CHECK(out.dns_failure_refresh_rate().base_interval().nanos() == -1);
  CHECK(out.max_requests_per_connection().value() == 7);
  const auto& fields = out.metadata().filter_metadata().at("a").fields();
  CHECK(fields.at("s").string_value() == "text");
  CHECK(fields.at("n").number_value() == 1);
  CHECK(fields.at("f").number_value() == 2.5);
  CHECK((fields.at("b").kind_case() == google::protobuf::Value::kBoolValue && !fields.at("b").bool_value()));
  CHECK(fields.at("z").kind_case() == google::protobuf::Value::kNullValue);
  CHECK(fields.at("l").list_value().values(1).has_struct_value());
  CHECK(fields.at("q").string_value() == "5");
}

TEST_CASE("whole numbers take the forms that Envoy takes") {
  const auto limit = [](std::string_view text) {
    return cluster("per_connection_buffer_limit_bytes: " + std::string(text))
        .per_connection_buffer_limit_bytes()
        .value();
  };
  CHECK(limit("100.0") == 100);
  CHECK(limit("1e3") == 1000);
  CHECK(limit("0x10") == 16);
  CHECK(limit("010") == 8);
  CHECK(limit("4294967295") == 4294967295);
  for (const std::string bad : {"-1", "4294967296", "1_000", "1.5", "08", "0x", "x", "[1]", "true"}) {
    INFO(bad);
    CHECK(
        contains(mistakes("per_connection_buffer_limit_bytes: " + bad),
                 "c.yaml:1:36: per_connection_buffer_limit_bytes: expected a whole number from 0 to 4294967295; got "));
  }
}

TEST_CASE("a long value is shown shortened, and never cut within a character") {
  std::string text(59, 'a');
  for (int i = 0; i < 10; ++i) text += "é";
  CHECK(contains(mistakes("type: " + text), "got \"" + std::string(59, 'a') + "…\""));
}

TEST_CASE("what could be a key or a password is not shown") {
  for (std::string_view text : {"{ private_key: 'MHcCAQEEIB0t' }", "{ privateKey: { inlineBytes: '?MHcCAQEEIB0t' } }",
                                "{ password: MHcCAQEEIB0t }", "{ pkcs12: { inline_bytes: 'MHcCAQEEIB0t?' } }"}) {
    envoy::extensions::transport_sockets::tls::v3::TlsCertificate certificate;
    std::string mistake(parse(text, "c.yaml", &certificate).message());
    CHECK(contains(mistake, "got a text that is not shown"));
    CHECK_FALSE(contains(mistake, "MHcCAQEEIB0t"));
  }
}

TEST_CASE("null leaves a field unset") {
  const Cluster out = cluster("name: ~\nhealth_checks:\ncluster_type: null\ntype: EDS\nload_assignment: null");
  CHECK(out.name().empty());
  CHECK(!out.has_load_assignment());
  CHECK(out.type() == Cluster::EDS);
}

TEST_CASE("durations that are no durations say what one looks like") {
  for (const std::string bad : {"5", "5ms", ".25s", "+5s", "0.1234567891s", "s", "-s", "1.s", "315576000001s"}) {
    INFO(bad);
    CHECK(contains(mistakes("connect_timeout: " + bad),
                   "c.yaml:1:18: connect_timeout: expected a duration in seconds that ends in s"));
  }
}

TEST_CASE("a plain number or truth value is no string") {
  for (const std::string bad : {"123", "true", "yes", "n", "0x10", "off"}) {
    INFO(bad);
    CHECK(contains(mistakes("name: " + bad), "c.yaml:1:7: name: expected a string; write \"" + bad + "\" in quotes"));
  }
  CHECK(cluster("name: \"123\"").name() == "123");
  CHECK(cluster("name: !!str 123").name() == "123");
  CHECK(cluster("name: 1.5").name() == "1.5");
  CHECK(cluster("name: 2030-01-01").name() == "2030-01-01");
  CHECK(contains(mistakes("{\"name\": 1}", "c.json"), "c.json:1:10: name: expected a string, in quotes"));
}

TEST_CASE("each item of a list of strings is held to what a string is") {
  const auto selector = [](std::string_view keys) {
    return "lb_subset_config: {subset_selectors: {keys: " + std::string(keys) + "}}";
  };
  const Cluster out = cluster(selector("[a, \"1\", 1.5, \"\"]"));
  const auto& keys = out.lb_subset_config().subset_selectors(0).keys();
  CHECK(std::vector<std::string>(keys.begin(), keys.end()) == std::vector<std::string>{"a", "1", "1.5", ""});
  CHECK(cluster(selector("lone")).lb_subset_config().subset_selectors(0).keys(0) == "lone");
  const std::string told = mistakes(selector("[a, 1, {b: c}, null, yes]"));
  const std::string path = "lb_subset_config.subset_selectors[0].keys";
  CHECK(contains(told, path + "[1]: expected a string; write \"1\" in quotes"));
  CHECK(contains(told, path + "[2]: expected a string; got a map"));
  CHECK(contains(told, path + "[3]: expected a value in the list; got null"));
  CHECK(contains(told, path + "[4]: expected a string; write \"yes\" in quotes"));
}

TEST_CASE("an unknown field is named with the nearest known one") {
  CHECK(mistakes("name: a\nconect_timeout: 1s\n") ==
        "c.yaml:2:1: unknown field \"conect_timeout\" of envoy.config.cluster.v3.Cluster; did you mean "
        "connect_timeout?");
  CHECK(contains(mistakes("load_assignment: {cluster_name: x, endpoint: []}"), "did you mean endpoints?"));
  CHECK(contains(mistakes("hosts: []"), "removed from the API: write load_assignment"));
  CHECK(contains(mistakes("load_assignment: {zzzzzzz: x}"), "known are cluster_name, endpoints, "));
}

TEST_CASE("an unknown enum value is named with the nearest known one") {
  const std::string message = mistakes("lb_policy: LEAST_REQUESTS");
  CHECK(contains(message,
                 "c.yaml:1:12: lb_policy: expected a value of envoy.config.cluster.v3.Cluster.LbPolicy, one of"));
  CHECK(contains(message, "(did you mean LEAST_REQUEST?); got \"LEAST_REQUESTS\""));
  CHECK(contains(mistakes("type: 99"), "got \"99\""));
  CHECK(contains(mistakes("type: strict-dns"), "did you mean STRICT_DNS?"));
}

TEST_CASE("several mistakes are reported at once, but not without end") {
  const std::string two = mistakes("name: [a]\ntype: x\nfoo: 1\n");
  CHECK(contains(two, "c.yaml:1:7: name: expected a string; got a list\nc.yaml:2:7: type: "));
  CHECK(contains(two, "\nc.yaml:3:1: unknown field \"foo\""));
  std::string many = "health_checks:\n";
  for (int i = 0; i < 100; ++i) many += "- bad: 1\n";
  const std::string reported = mistakes(many);
  CHECK(std::count(reported.begin(), reported.end(), '\n') == 20);
  CHECK(contains(reported, "c.yaml: more mistakes follow"));
  std::string enough = "health_checks:\n";
  for (int i = 0; i < 20; ++i) enough += "- bad: 1\n";
  CHECK(!contains(mistakes(enough), "more mistakes"));
}

TEST_CASE("what could hide a mistake is refused") {
  CHECK(contains(mistakes("name: a\nname: b"),
                 "c.yaml:2:1: the key \"name\" stands a second time; the first is on line 1"));
  CHECK(contains(mistakes("connect_timeout: 1s\nconnectTimeout: 1s"),
                 "c.yaml:2:1: connect_timeout: the field stands a second"));
  CHECK(contains(mistakes("type: EDS\ncluster_type: {name: x}"),
                 "cluster_type: only one of the cluster_discovery_type may be set, and type is already"));
  CHECK(contains(mistakes("name: a\n---\nname: b"), "a second document"));
  CHECK(contains(mistakes("filters: [null]"), "filters[0]: expected a value in the list; got null"));
  CHECK(contains(mistakes("typed_extension_protocol_options: {a: null}"),
                 "typed_extension_protocol_options[\"a\"]: expected a value"));
  CHECK(contains(mistakes("metadata: {filter_metadata: {a: {x: 1, x: 2}}}"), "the key \"x\" stands a second time"));
  CHECK(contains(mistakes("{\"name\": \"a\", \"name\": \"b\"}", "c.json"), "c.json:1:15: the key \"name\""));
  CHECK(contains(mistakes("common_lb_config: []"),
                 "expected a map with the fields of envoy.config.cluster.v3.Cluster.CommonLbConfig; got a list"));
}

TEST_CASE("what is no YAML or JSON says where") {
  CHECK(mistakes("name: a\n  b: c").rfind("c.yaml:2:4: not YAML: ", 0) == 0);
  CHECK(mistakes("{\n  \"name\": tru\n}", "c.json").rfind("c.json:2:11: not JSON: ", 0) == 0);
  CHECK(contains(mistakes("{\"name\": \"a\",}", "c.json"), "not JSON: "));
  CHECK(contains(mistakes("{\"name\": \"a\"} x", "c.json"), "c.json:1:15: not JSON: "));
  CHECK(contains(mistakes(""), "c.yaml: empty; expected a map with the fields of envoy.config.cluster.v3.Cluster"));
  CHECK(contains(mistakes("# nothing"), "empty"));
  CHECK(contains(mistakes("- a"), "c.yaml:1:1: expected a map with the fields"));
  CHECK(contains(mistakes("name: \xFF"), "c.yaml:1:7: not UTF-8 text"));
  CHECK(contains(mistakes("name: x}\n---\n? }\n: }...\n"), "not YAML: "));
  CHECK(contains(mistakes("--- ,!map\n? node\n: !x {)i}...\n\n---\n"), "not YAML: "));
  CHECK(contains(mistakes("name: !binary aGk="), "the tag"));
}

TEST_CASE("anchors, aliases and merge keys work as people use them") {
  const Cluster out = cluster(R"(
name: &n app
alt_stat_name: *n
health_checks:
- &base {timeout: 1s, interval: 5s, tcp_health_check: {}}
- <<: *base
  timeout: 2s
- <<: [{interval: 9s}, *base]
)");
  CHECK(out.alt_stat_name() == "app");
  CHECK(out.health_checks(1).timeout().seconds() == 2);
  CHECK(out.health_checks(1).interval().seconds() == 5);
  CHECK(out.health_checks(1).has_tcp_health_check());
  CHECK(out.health_checks(2).interval().seconds() == 9);
  CHECK(contains(mistakes("<<: 5"), "to merge by <<"));
  CHECK(contains(mistakes("name: *gone"), "not YAML: "));
  CHECK(contains(mistakes("metadata: &m {filter_metadata: *m}"), "this alias stands within its own anchor"));
}

TEST_CASE("a few lines of aliases cannot become millions of values") {
  std::string text = "metadata:\n  filter_metadata:\n    a0: &a0 {x: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "    a" + std::to_string(i) + ": &a" + std::to_string(i) + " {x: [" + before;
    for (int j = 0; j < 9; ++j) text += ", " + before;
    text += "]}\n";
  }
  ParseOptions options;
  options.max_values = 100'000;
  CHECK(contains(mistakes(text, "c.yaml", options), "more than 100000 values, aliases counted at each use"));
}

TEST_CASE("depth and length are bounded") {
  ParseOptions options;
  options.max_depth = 20;
  options.max_input_bytes = 1000;
  const std::string deep = "metadata: {filter_metadata: {a: {x: " + std::string(30, '[') + std::string(30, ']') + "}}}";
  CHECK(contains(mistakes(deep, "c.yaml", options), "more than 20 maps and lists within each other"));
  const std::string open(900, '[');
  std::string lists;
  for (int i = 0; i < 30; ++i) lists += "- ";
  CHECK(contains(mistakes(lists, "c.yaml", options), "c.yaml:1:41: not YAML: more than 20 maps and lists"));
  CHECK(contains(mistakes(open, "c.json", options), "more than 20 objects and arrays within each other"));
  CHECK(contains(mistakes("name: " + std::string(1000, 'a'), "c.yaml", options), "longer than 1000 bytes"));
  ParseOptions deepest;
  deepest.max_depth = 100'000;
  CHECK(contains(mistakes(std::string(100'000, '['), "c.yaml", deepest), "not YAML: "));
}

TEST_CASE("an Any says by @type what it holds") {
  const auto options = [](const std::string& body) { return "typed_extension_protocol_options: {a: " + body + "}"; };
  CHECK(cluster(options("{}")).typed_extension_protocol_options().at("a").type_url().empty());
  CHECK(contains(mistakes(options("{x: 1}")), "\"@type\" is missing"));
  CHECK(contains(mistakes(options("{\"@type\": foo.Bar}")), "expected a type URL"));
  CHECK(contains(mistakes(options("{\"@type\": a/foo.Bar}")),
                 "c.yaml:1:49: typed_extension_protocol_options[\"a\"]: unknown type a/foo.Bar"));
  const Cluster wrapped = cluster(options("{\"@type\": t/google.protobuf.Duration, value: 3s}"));
  google::protobuf::Duration duration;
  REQUIRE(duration.ParseFromString(wrapped.typed_extension_protocol_options().at("a").value()));
  CHECK(duration.seconds() == 3);
  CHECK(contains(mistakes(options("{\"@type\": t/google.protobuf.Duration, value: 3s, more: 1}")),
                 "unknown key \"more\""));
  CHECK(contains(
      mistakes(options("{\"@type\": t/envoy.extensions.filters.http.router.v3.Router, start_child_spam: true}")),
      "did you mean start_child_span?"));
}

TEST_CASE("an unknown type can be kept, with its place") {
  ParseOptions options;
  options.keep_unknown_types = true;
  Cluster out;
  Source source;
  REQUIRE(parse("typed_extension_protocol_options: {a: {\"@type\": x/foo.Bar, deep: {n: 1}}}", "c.yaml", &out, options,
                &source)
              .ok());
  REQUIRE(source.unknown_types.size() == 1);
  CHECK(source.unknown_types[0].type_url == "x/foo.Bar");
  CHECK(source.unknown_types[0].path == "typed_extension_protocol_options[\"a\"]");
  CHECK(source.unknown_types[0].position.column == 49);
  xds::type::v3::TypedStruct kept;
  REQUIRE(out.typed_extension_protocol_options().at("a").UnpackTo(&kept));
  CHECK(kept.type_url() == "x/foo.Bar");
  CHECK(kept.value().fields().at("deep").struct_value().fields().at("n").number_value() == 1);
}

TEST_CASE("a TypedStruct of a known type is read as that type") {
  const Cluster out = cluster(R"(
typed_extension_protocol_options:
  a:
    "@type": type.googleapis.com/udpa.type.v1.TypedStruct
    type_url: type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    value: {suppress_envoy_headers: true}
)");
  envoy::extensions::filters::http::router::v3::Router router;
  REQUIRE(out.typed_extension_protocol_options().at("a").UnpackTo(&router));
  CHECK(router.suppress_envoy_headers());
}

TEST_CASE("what is printed is read back the same, and printed the same again") {
  Bootstrap bootstrap;
  REQUIRE(parse(kBootstrap, "envoy.yaml", &bootstrap).ok());
  for (const bool proto_names : {true, false}) {
    for (const bool indent : {true, false}) {
      const PrintOptions options{proto_names, indent, false};
      const std::string json = print_json(bootstrap, options);
      const std::string yaml = print_yaml(bootstrap, options);
      Bootstrap from_json, from_yaml;
      REQUIRE(parse(json, "x.json", &from_json).ok());
      INFO(yaml);
      REQUIRE(parse(yaml, "x.yaml", &from_yaml).ok());
      CHECK(print_json(from_json, options) == json);
      CHECK(print_json(from_yaml, options) == json);
    }
  }
}

}  // namespace
}  // namespace weft::text
