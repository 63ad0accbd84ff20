#include "proxy/config/compile/compile.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"
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
  CHECK(forward.forward->clusters[0].cluster == snapshot.clusters.at("backend"));
  CHECK(host->routes[1].route->direct_response->body == "nothing here");

  const cluster::Cluster& backend = *snapshot.clusters.at("backend");
  CHECK(backend.config().connect_timeout_ms == 5'000);
  CHECK(backend.config().protocol == cluster::UpstreamProtocol::kHttp1);
  CHECK(backend.config().transport_identity.empty());
  CHECK(backend.config().breakers[0].max_requests == 1024);
  REQUIRE(backend.hosts()->size() == 1);
  CHECK(backend.hosts()->priorities[0][0]->address_text() == "127.0.0.1:8080");
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
                  hash_policy: [ { header: { header_name: x-user } } ]
                  request_mirror_policies: [ { cluster: backend } ])");
  auto refused = compile(text);
  REQUIRE_FALSE(refused.ok());
  std::string message(refused.status().message());
  CHECK(message.find("hash_policy") != std::string::npos);
  CHECK(message.find("request_mirror_policies") != std::string::npos);

  CompileOptions options;
  options.allow_unsupported = true;
  auto allowed = compile(text, options);
  REQUIRE(allowed.ok());
  CHECK(allowed->warnings.size() == 2);
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

}  // namespace
}  // namespace weft::config
