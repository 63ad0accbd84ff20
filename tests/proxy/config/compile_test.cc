#include "proxy/config/compile/compile.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"
#include "proxy/config/compile/shared_parts.h"
#include "tests/proxy/config/bootstraps.h"

namespace weft::config {
namespace {

TEST_CASE("a listener with a route to a static cluster compiles") {
  auto compiled = compile(bootstrap_of(R"(
              - match: { prefix: /api }
                route: { cluster: backend, prefix_rewrite: /, timeout: 1.5s }
              - match: { prefix: / }
                direct_response: { status: 404, body: { inline_string: nothing here } })"));
  REQUIRE(compiled.ok());
  const snapshot::Snapshot& snapshot = *compiled->snapshot;
  REQUIRE(snapshot.listeners.size() == 1);
  const snapshot::Listener& listener = *snapshot.listeners[0];
  CHECK(listener.name == "main");
  CHECK(listener.addresses[0].to_string() == "127.0.0.1:0");
  REQUIRE(listener.filter_chains.size() == 1);
  const snapshot::HttpConnectionManager& http = *listener.filter_chains[0]->http;
  CHECK(http.stat_prefix == "ingress");
  CHECK(http.stream_idle_timeout_ms == 300'000);
  CHECK(http.limits.max_header_bytes == 60 * 1024);
  const route::VirtualHost* host = http.routes->match_host("anything");
  REQUIRE(host != nullptr);
  REQUIRE(host->routes.size() == 2);
  const route::Route& forward = *host->routes[0].route;
  REQUIRE(forward.forward != nullptr);
  CHECK(forward.forward->timeout_ms == 1500);
  CHECK(forward.forward->clusters[0].slot == compiled->parts->slots.slot("backend"));
  CHECK(host->routes[1].route->direct_response->body == "nothing here");

  const cluster::Cluster& backend = *compiled->find_cluster("backend");
  CHECK(backend.config().connect_timeout_ms == 5'000);
  CHECK(backend.config().protocol == cluster::UpstreamProtocol::kHttp1);
  CHECK(backend.config().breakers[0].max_requests == 1024);
  REQUIRE(backend.hosts()->size() == 1);
  CHECK(backend.hosts()->priorities[0][0]->address_text() == "127.0.0.1:8080");
}

TEST_CASE("clusters that are configured alike share what they have alike") {
  const auto cluster = [](const std::string& name, const std::string& more) {
    return "\n  - { name: " + name + ", type: STATIC, load_assignment: { cluster_name: c }" + more + " }";
  };
  auto compiled =
      compile(bootstrap_of(" []", cluster("a", ", connect_timeout: 1s") + cluster("b", ", connect_timeout: 2s") +
                                      cluster("c", ", connect_timeout: 1s")));
  INFO(compiled.status().ToString());
  REQUIRE(compiled.ok());
  const auto& a = *compiled->find_cluster("a");
  CHECK(&a.config() == &compiled->find_cluster("c")->config());
  CHECK(a.config().connect_timeout_ms == 1'000);
  CHECK(compiled->find_cluster("b")->config().connect_timeout_ms == 2'000);
  CHECK(compiled->find_cluster("d") == nullptr);
}

TEST_CASE("a route to a cluster that does not exist is an error at its place") {
  auto compiled = compile(bootstrap_of(R"(
              - match: { prefix: / }
                route: { cluster: missing })"));
  REQUIRE_FALSE(compiled.ok());
  std::string message(compiled.status().message());
  CHECK(message.find("test.yaml:") == 0);
  CHECK(message.find("routes[0].route.cluster: there is no cluster \"missing\"") != std::string::npos);
}

TEST_CASE("what is known but not supported is refused by name, or warned of") {
  std::string text = bootstrap_of(R"(
              - match: { prefix: / }
                route:
                  cluster: backend
                  hedge_policy: { hedge_on_per_try_timeout: true }
                  internal_redirect_policy: {})");
  auto refused = compile(text);
  REQUIRE_FALSE(refused.ok());
  std::string message(refused.status().message());
  CHECK(message.find("hedge_policy") != std::string::npos);
  CHECK(message.find("internal_redirect_policy") != std::string::npos);

  CompileOptions options;
  options.allow_unsupported = true;
  auto allowed = compile(text, options);
  REQUIRE(allowed.ok());
  CHECK(allowed->warnings.size() == 2);
}

TEST_CASE("CONNECT ends here when its upgrade has a connect_config") {
  auto routes = [](std::string_view upgrade) {
    return bootstrap_of(
        "\n              - match: { connect_matcher: {} }\n                route: { cluster: backend, " +
        std::string("upgrade_configs: [") + std::string(upgrade) + "] }");
  };
  auto ends_connect = [&](std::string_view upgrade) {
    auto compiled = compile(routes(upgrade));
    REQUIRE(compiled.ok());
    const auto& http = *compiled->snapshot->listeners[0]->filter_chains[0]->http;
    return http.routes->match_host("a")->routes[0].route->forward->ends_connect;
  };
  CHECK(ends_connect("{ upgrade_type: CONNECT, connect_config: {} }"));
  CHECK_FALSE(ends_connect("{ upgrade_type: CONNECT }"));
  CHECK_FALSE(ends_connect("{ upgrade_type: CONNECT, enabled: false, connect_config: {} }"));

  for (auto [upgrade, error] : {
           std::pair("{ upgrade_type: websocket, connect_config: {} }",
                     "connect_config: goes only with upgrade_type CONNECT, not websocket"),
           std::pair("{ upgrade_type: CONNECT, connect_config: { allow_post: true } }", "connect_config.allow_post"),
           std::pair("{ upgrade_type: CONNECT, connect_config: { proxy_protocol_config: {} } }",
                     "connect_config.proxy_protocol_config"),
       }) {
    auto compiled = compile(routes(upgrade));
    REQUIRE_FALSE(compiled.ok());
    CHECK_THAT(std::string(compiled.status().message()), Catch::Contains(error));
  }
}

TEST_CASE("whether a message that is not valid ends its stream alone is for HTTP/2 to choose") {
  auto manager = [](std::string_view options) {
    std::string text = bootstrap_of("\n              - { match: { prefix: / }, route: { cluster: backend } }");
    size_t at = text.find("stat_prefix: ingress");
    for (size_t end; !options.empty(); options.remove_prefix(end)) {
      end = std::min(options.find(';'), options.size());
      text.insert(at, std::string(options.substr(0, end)) + "\n          ");
      if (end < options.size()) ++end;
    }
    return compile(text);
  };
  auto ends_connection = [&](std::string_view options) {
    auto compiled = manager(options);
    REQUIRE(compiled.ok());
    return compiled->snapshot->listeners[0]->filter_chains[0]->http->limits.h2_malformed_ends_connection;
  };
  constexpr std::string_view kOfHttp2 =
      "http2_protocol_options: { override_stream_error_on_invalid_http_message: true }";
  CHECK(ends_connection(""));
  CHECK(ends_connection("stream_error_on_invalid_http_message: false"));
  CHECK_FALSE(ends_connection(kOfHttp2));
  CHECK_FALSE(ends_connection("http2_protocol_options: { stream_error_on_invalid_http_messaging: true }"));
  CHECK_FALSE(ends_connection("stream_error_on_invalid_http_message: true;codec_type: HTTP2"));
  CHECK(
      ends_connection("stream_error_on_invalid_http_message: true;codec_type: HTTP2;"
                      "http2_protocol_options: { override_stream_error_on_invalid_http_message: false }"));
  CHECK_FALSE(
      ends_connection("stream_error_on_invalid_http_message: true;"
                      "http_protocol_options: { override_stream_error_on_invalid_http_message: false }"));

  for (std::string_view refused : {"stream_error_on_invalid_http_message: true",
                                   "http_protocol_options: { override_stream_error_on_invalid_http_message: true }"}) {
    auto compiled = manager(refused);
    REQUIRE_FALSE(compiled.ok());
    CHECK_THAT(std::string(compiled.status().message()),
               Catch::Contains("stream_error_on_invalid_http_message: true is not possible for HTTP/1"));
  }
}

TEST_CASE("an unknown retry condition is an error") {
  auto compiled = compile(bootstrap_of(R"(
              - match: { prefix: / }
                route: { cluster: backend, retry_policy: { retry_on: "5xx,sometimes" } })"));
  REQUIRE_FALSE(compiled.ok());
  CHECK(std::string(compiled.status().message()).find("\"sometimes\"") != std::string::npos);
}

TEST_CASE("a retry policy has its conditions and Envoy's defaults") {
  auto compiled = compile(bootstrap_of(R"(
              - match: { prefix: / }
                route:
                  cluster: backend
                  retry_policy:
                    retry_on: connect-failure, unavailable
                    num_retries: 3
                    retry_host_predicate:
                    - name: previous
                      typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate })"));
  REQUIRE(compiled.ok());
  const auto& retry = compiled->snapshot->listeners[0]
                          ->filter_chains[0]
                          ->http->routes->match_host("a")
                          ->routes[0]
                          .route->forward->retry;
  REQUIRE(retry.has_value());
  CHECK(retry->on == (route::RetryPolicy::kConnectFailure | route::RetryPolicy::kGrpcUnavailable));
  CHECK(retry->num_retries == 3);
  CHECK(retry->omit_previous_hosts);
  CHECK(retry->back_off_base_ms == 25);
}

TEST_CASE("an access log with an unknown operator is an error") {
  std::string text = bootstrap_of(R"(
              - match: { prefix: / }
                route: { cluster: backend })");
  text += R"(
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
  access_log:
  - name: file
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
      log_format: { text_format: "%NO_SUCH_OPERATOR%" }
)";
  auto compiled = compile(text);
  REQUIRE_FALSE(compiled.ok());
  CHECK(std::string(compiled.status().message()).find("NO_SUCH_OPERATOR") != std::string::npos);
}

TEST_CASE("all mistakes are told at once") {
  auto compiled = compile(bootstrap_of(R"(
              - match: { safe_regex: { regex: "(" } }
                route: { cluster: missing }
              - match: { path_separated_prefix: /a/ }
                direct_response: { status: 99 })"));
  REQUIRE_FALSE(compiled.ok());
  std::string message(compiled.status().message());
  CHECK(std::count(message.begin(), message.end(), '\n') == 3);
}

// The message of the error that the text gets; "" when it is accepted.
std::string error_of(const std::string& text) {
  auto compiled = compile(text);
  return compiled.ok() ? "" : std::string(compiled.status().message());
}

bool names(const std::string& message, std::string_view part) {
  INFO(message);
  CHECK(message.find(part) != std::string::npos);
  return message.find(part) != std::string::npos;
}

constexpr std::string_view kToBackend = R"(
              - match: { prefix: / }
                route: { cluster: backend })";

TEST_CASE("what would have no effect is refused where it asks for something") {
  std::string text = bootstrap_of(kToBackend);
  CHECK(names(error_of(text + "\ncluster_manager: { local_cluster_name: backend }\n"),
              "cluster_manager.local_cluster_name: this field is not supported"));
  CHECK(names(error_of(bootstrap_of(kToBackend, R"(
  - name: more
    common_http_protocol_options: { max_stream_duration: 1s })")),
              "clusters[1].common_http_protocol_options.max_stream_duration: this field is not supported"));
  CHECK(names(error_of(bootstrap_of(kToBackend, R"(
  - name: more
    http_protocol_options: { override_stream_error_on_invalid_http_message: true })")),
              "clusters[1].http_protocol_options.override_stream_error_on_invalid_http_message"));
  CHECK(error_of(bootstrap_of(kToBackend, R"(
  - name: more
    http_protocol_options: { override_stream_error_on_invalid_http_message: false })")) == "");
}

TEST_CASE(
    "what asks for nothing is taken: weights of localities without balancing by them, success rates that never eject") {
  const auto more = [](const std::string& share) {
    return R"(
  - name: more
    type: STATIC
    outlier_detection: { enforcing_success_rate: )" +
           share + R"( }
    load_assignment:
      cluster_name: more
      endpoints:
      - load_balancing_weight: 3
        lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 8080 } } }
)";
  };
  CHECK(compile(bootstrap_of(" []", more("0"))).ok());
  const auto compiled = compile(bootstrap_of(" []", more("50")));
  REQUIRE_FALSE(compiled.ok());
  CHECK(std::string(compiled.status().message()).find("enforcing_success_rate: ejection by success rate") !=
        std::string::npos);
}

TEST_CASE("of the bootstrap's extensions only the one that makes internal listeners possible is accepted") {
  std::string text = bootstrap_of(kToBackend);
  auto with = [&](std::string_view config) {
    return error_of(text + "\nbootstrap_extensions:\n- name: one\n  typed_config: " + std::string(config) + "\n");
  };
  constexpr std::string_view kType =
      "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener";
  CHECK(with("{ '@type': " + std::string(kType) + " }") == "");
  for (std::string_view wrapper : {"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"}) {
    CHECK(with("{ '@type': type.googleapis.com/" + std::string(wrapper) + ", type_url: " + std::string(kType) +
               ", value: {} }") == "");
  }
  CHECK(
      names(with("{ '@type': type.googleapis.com/envoy.extensions.bootstrap.none.v3.None }"),
            "bootstrap_extensions[0].typed_config: the type envoy.extensions.bootstrap.none.v3.None is not supported"));
}

TEST_CASE("health checks are judged together and with the cluster's protocol") {
  auto with = [](std::string_view checks) {
    return error_of(bootstrap_of(kToBackend, "\n  - name: more\n    health_checks:\n" + std::string(checks)));
  };
  constexpr std::string_view kTimes = "timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1";
  std::string tcp = "    - { " + std::string(kTimes) + ", tcp_health_check: {} }\n";
  CHECK(with(tcp) == "");
  CHECK(names(with(tcp + tcp), "health_checks[1]: of several health checks each needs a name"));
  std::string named = "    - { name: a, " + std::string(kTimes) + ", tcp_health_check: {} }\n";
  CHECK(names(with(named + named), "health_checks[1].name: there are two health checks \"a\""));
  std::string grpc = "    - { " + std::string(kTimes) + ", grpc_health_check: { service_name: s } }\n";
  CHECK(names(with(grpc), "health_checks[0].grpc_health_check: gRPC needs HTTP/2"));
  CHECK(with(grpc + "    http2_protocol_options: {}\n") == "");
}

TEST_CASE("a cluster may connect to where its connections were going, and then has no endpoints of its own") {
  auto with = [](std::string_view more) {
    return error_of(bootstrap_of(kToBackend, "\n  - name: more\n    " + std::string(more) + "\n"));
  };
  CHECK(with("type: ORIGINAL_DST\n    lb_policy: CLUSTER_PROVIDED\n    cleanup_interval: 1s\n"
             "    original_dst_lb_config: { upstream_port_override: 8080 }") == "");
  CHECK(names(with("type: ORIGINAL_DST"), "lb_policy: an ORIGINAL_DST cluster's is CLUSTER_PROVIDED"));
  CHECK(names(with("lb_policy: CLUSTER_PROVIDED"), "lb_policy: CLUSTER_PROVIDED is for ORIGINAL_DST clusters alone"));
  const std::string original = "type: ORIGINAL_DST\n    lb_policy: CLUSTER_PROVIDED\n    ";
  CHECK(names(with(original + "load_assignment: { cluster_name: more }"), "load_assignment: an ORIGINAL_DST cluster"));
  CHECK(names(with(original + "cleanup_interval: 0s"), "cleanup_interval: expected more than zero"));
  CHECK(names(with(original + "original_dst_lb_config: { upstream_port_override: 70000 }"), "a port is at most 65535"));
  CHECK(names(with(original + "original_dst_lb_config: { use_http_header: true }"), "use_http_header"));
}

TEST_CASE("balancers that hash have bounds") {
  auto with = [](std::string_view more) {
    return error_of(bootstrap_of(kToBackend, "\n  - name: more\n    " + std::string(more) + "\n"));
  };
  CHECK(with("lb_policy: RING_HASH") == "");
  CHECK(with("lb_policy: MAGLEV") == "");
  CHECK(names(with("maglev_lb_config: { table_size: 100 }"), "maglev_lb_config.table_size: expected a prime number"));
  CHECK(names(with("ring_hash_lb_config: { minimum_ring_size: 9000000 }"), "a ring has at most 8388608 points"));
  CHECK(names(with("ring_hash_lb_config: { minimum_ring_size: 20, maximum_ring_size: 10 }"), "is more than"));
  CHECK(names(with("ring_hash_lb_config: { hash_function: MURMUR_HASH_2 }"), "MURMUR_HASH_2 is not supported"));
}

TEST_CASE("a runtime key of a static layer overrides a default") {
  std::string text = bootstrap_of(R"(
              - match: { prefix: /, runtime_fraction: { default_value: { numerator: 10 }, runtime_key: a.share } }
                route: { cluster: backend })");
  auto fraction = [](const std::string& bootstrap) {
    auto compiled = compile(bootstrap);
    REQUIRE(compiled.ok());
    const auto& http = *compiled->snapshot->listeners[0]->filter_chains[0]->http;
    return http.routes->match_host("a")->routes[0].fraction_numerator;
  };
  CHECK(fraction(text) == 10);
  CHECK(fraction(text + "\nlayered_runtime: { layers: [ { name: s, static_layer: { a: { share: 70 } } } ] }\n") == 70);
}

}  // namespace
}  // namespace weft::config
