#include "proxy/config/xds/api_config_source.h"

#include <catch2/catch.hpp>
#include <memory>

#include "api/text/parse.h"

namespace weft::config::xds {
namespace {

struct ReadResult {
  GrpcSourceOptions options;
  std::string errors;
};

ReadResult read(std::string_view yaml) {
  envoy::config::core::v3::ApiConfigSource source;
  absl::Status parsed = text::parse(yaml, "source.yaml", &source, {}, nullptr);
  INFO(parsed.message());
  REQUIRE(parsed.ok());
  cluster::ClusterConfig config;
  config.name = config.stat_name = "ads";
  auto cluster = std::make_shared<cluster::Cluster>(std::move(config), 1);
  envoy::config::core::v3::Node node;
  node.set_id("n");
  ReadResult result;
  ApiConfigContext context{node,
                           [&](const std::string& name) -> absl::StatusOr<cluster::ClusterPtr> {
                             if (name == "ads") return cluster;
                             return absl::NotFoundError("there is no cluster " + name);
                           },
                           [&](std::string_view path, std::string_view what) {
                             result.errors.append(path).append(": ").append(what).append("\n");
                           }};
  result.options = read_api_config_source(context, source, "ads_config");
  return result;
}

}  // namespace

TEST_CASE("an ApiConfigSource says whom to call, how, and how often") {
  ReadResult result = read(R"(
api_type: DELTA_GRPC
transport_api_version: V3
set_node_on_first_message_only: true
rate_limit_settings: {max_tokens: 5, fill_rate: 2.5}
grpc_services:
- envoy_grpc: {cluster_name: ads, authority: cp.example, max_receive_message_length: 1000}
  initial_metadata: [{key: x-token, value: t}]
- envoy_grpc:
    cluster_name: ads
    retry_policy: {retry_back_off: {base_interval: 0.2s, max_interval: 3s}}
)");
  CHECK(result.errors.empty());
  CHECK(result.options.delta);
  REQUIRE(result.options.control_planes.size() == 2);
  const call::GrpcCall& call = result.options.control_planes[0].call;
  CHECK(call.authority == "cp.example");
  CHECK(call.max_message_bytes == 1000);
  CHECK(call.metadata == std::vector<std::pair<std::string, std::string>>{{"x-token", "t"}});
  CHECK(result.options.backoff_base_ms == 200);
  CHECK(result.options.backoff_max_ms == 3'000);
  CHECK(result.options.conversation.node_on_first_only);
  CHECK(result.options.conversation.node.id() == "n");
  CHECK(result.options.conversation.node.user_agent_name() == "weft-proxy");
  REQUIRE(result.options.rate_limit.has_value());
  CHECK(result.options.rate_limit->max_tokens == 5);
  CHECK(result.options.rate_limit->per_second == 2.5);
}

TEST_CASE("without more words the limits are Envoy's") {
  ReadResult result = read(R"(
api_type: GRPC
transport_api_version: V3
rate_limit_settings: {}
grpc_services: [{envoy_grpc: {cluster_name: ads}}]
)");
  CHECK(result.errors.empty());
  CHECK_FALSE(result.options.delta);
  CHECK_FALSE(result.options.conversation.node_on_first_only);
  CHECK(result.options.rate_limit->max_tokens == 100);
  CHECK(result.options.rate_limit->per_second == 10);
  CHECK(result.options.backoff_base_ms == 500);
  CHECK(result.options.backoff_max_ms == 30'000);
}

TEST_CASE("what an ApiConfigSource asks for and cannot have is refused by its path") {
  auto errors = [](std::string_view more) {
    return read(std::string("transport_api_version: V3\n") + std::string(more)).errors;
  };
  const std::string good = "api_type: GRPC\ngrpc_services: [{envoy_grpc: {cluster_name: ads}}]\n";
  CHECK(errors(good).empty());
  CHECK(read(good).errors.empty());
  CHECK(read("transport_api_version: V2\n" + good).errors.find("ads_config.transport_api_version: ") == 0);
  for (const char* type : {"AGGREGATED_GRPC", "AGGREGATED_DELTA_GRPC"}) {
    CHECK(errors(std::string("api_type: ") + type + "\ngrpc_services: [{envoy_grpc: {cluster_name: ads}}]\n")
              .find("ads_config.api_type: " + std::string(type) + " is not supported; a resource of the aggregated") ==
          0);
  }
  CHECK(errors("api_type: REST\ngrpc_services: [{envoy_grpc: {cluster_name: ads}}]\n")
            .find("ads_config.api_type: REST is not supported") == 0);
  CHECK(errors("api_type: GRPC").find("ads_config.grpc_services: expected at least one") == 0);
  CHECK(errors("api_type: GRPC\ngrpc_services: [{envoy_grpc: {cluster_name: nobody}}]")
            .find("ads_config.grpc_services[0].envoy_grpc.cluster_name: there is no cluster nobody") == 0);
  CHECK(errors("api_type: GRPC\ngrpc_services: [{google_grpc: {target_uri: a, stat_prefix: a}}]")
            .find("ads_config.grpc_services[0]: expected envoy_grpc") == 0);
  CHECK(errors(good + "refresh_delay: 1s").find("ads_config.refresh_delay: ") == 0);
  CHECK(errors(good + "request_timeout: 1s").find("ads_config.request_timeout: ") == 0);
  CHECK(errors(good + "cluster_names: [a]").find("ads_config.cluster_names: ") == 0);
  CHECK(errors(good + "rate_limit_settings: {fill_rate: 0}").find("ads_config.rate_limit_settings: ") == 0);
  auto backoff = [&](std::string_view policy) {
    return errors("api_type: GRPC\ngrpc_services: [{envoy_grpc: {cluster_name: ads, retry_policy: " +
                  std::string(policy) + "}}]");
  };
  CHECK(backoff("{num_retries: 1}").find("ads_config.grpc_services[0].envoy_grpc.retry_policy: of its fields") == 0);
  CHECK(backoff("{retry_back_off: {base_interval: 0s}}").find("must be at least 1 ms") != std::string::npos);
  CHECK(backoff("{retry_back_off: {base_interval: 2s, max_interval: 1s}}").find("must not be below") !=
        std::string::npos);
}

}  // namespace weft::config::xds
