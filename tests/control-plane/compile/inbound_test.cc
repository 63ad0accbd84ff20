#include "control-plane/compile/inbound.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/access_loggers/file/v3/file.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using registry::AppProtocol;
using snapshot::ResourcePointer;
using snapshot::Type;

const Inbound kInboundOfCart = {.address = "10.0.0.1", .port = 15006, .app_port = 8080, .health = {}};

template <typename Message>
Message content(const std::vector<ResourcePointer>& resources, Type type) {
  Message message;
  for (const ResourcePointer& resource : resources) {
    google::protobuf::Any any;
    if (resource->type != type) continue;
    REQUIRE(any.ParseFromString(resource->any));
    REQUIRE(any.UnpackTo(&message));
  }
  return message;
}

// Of the only port that others can call.
AppProtocol inbound_protocol(const registry::Model& model, const registry::ServiceName& name, uint16_t app_port) {
  Inbound inbound = kInboundOfCart;
  inbound.app_port = app_port;
  const std::vector<InboundPort> ports = inbound_ports(model, name, inbound);
  REQUIRE(ports.size() == 1);
  CHECK(ports[0].name == "inbound");
  CHECK(ports[0].app_port == app_port);
  return ports[0].protocol;
}

std::vector<ResourcePointer> compile_inbound(const Inbound& inbound, AppProtocol protocol, const InboundMtls& mtls,
                                             const registry::CallerRules& rules) {
  return compile::compile_inbound(inbound, std::vector<InboundPort>{{"inbound", inbound.app_port, protocol}}, mtls,
                                  rules);
}

TEST_CASE("the port of the service behind which an application stands decides what is spoken") {
  registry::Model model;
  const registry::ServiceName name{.namespace_name = "shop", .name = "cart"};
  CHECK(inbound_protocol(model, name, 8080) == AppProtocol::kDetect);
  auto service = std::make_shared<registry::Service>();
  service->ports = {{"web", 80, AppProtocol::kHttp, 8080}, {"db", 5432, AppProtocol::kTcp, 5432}};
  model.services.set(name, service);
  CHECK(inbound_protocol(model, name, 8080) == AppProtocol::kHttp);
  CHECK(inbound_protocol(model, name, 5432) == AppProtocol::kTcp);
  CHECK(inbound_protocol(model, name, 9999) == AppProtocol::kDetect);
  service->ports = {{"", 80, AppProtocol::kGrpc, 8080}};
  CHECK(inbound_protocol(model, name, 9999) == AppProtocol::kGrpc);
}

TEST_CASE("what is not HTTP passes as bytes, and needs no route") {
  const auto resources = compile_inbound(kInboundOfCart, AppProtocol::kTcp, {}, {});
  CHECK(resources.size() == 2);
  const auto listener = content<Listener>(resources, Type::kListener);
  CHECK(listener.filter_chains(0).filters(0).name() == "envoy.filters.network.tcp_proxy");
  CHECK(listener.listener_filters().empty());
}

TEST_CASE("without a word on the protocol the first bytes decide, and a server that speaks first may") {
  const auto listener =
      content<Listener>(compile_inbound(kInboundOfCart, AppProtocol::kDetect, {}, {}), Type::kListener);
  CHECK(listener.filter_chains(0).filters(0).name() == "envoy.filters.network.http_connection_manager");
  REQUIRE(listener.filter_chains_size() == 3);
  CHECK(listener.filter_chains(1).filters(0).name() == "envoy.filters.network.tcp_proxy");
  CHECK(listener.filter_chains(1).filter_chain_match().application_protocols().empty());
  CHECK(listener.continue_on_listener_filters_timeout());
}

TEST_CASE("the application is checked as its node asks, whether it is called or not") {
  Inbound inbound = kInboundOfCart;
  CHECK(content<Cluster>(compile_inbound(inbound, AppProtocol::kHttp, {}, {}), Type::kCluster).health_checks().empty());
  inbound.health = {HealthProbe::Kind::kHttp, "/healthz", 250};
  const auto cluster = content<Cluster>(compile_inbound(inbound, AppProtocol::kHttp2, {}, {}), Type::kCluster);
  REQUIRE(cluster.health_checks_size() == 1);
  const auto& check = cluster.health_checks(0);
  CHECK(check.http_health_check().path() == "/healthz");
  CHECK(check.http_health_check().codec_client_type() == envoy::type::v3::HTTP2);
  CHECK(check.interval().nanos() == 250'000'000);
  CHECK(check.no_traffic_interval().nanos() == 250'000'000);
  CHECK(check.timeout().nanos() == 250'000'000);
}

TEST_CASE("requests are noted where the node says, with why they were refused") {
  Inbound inbound = kInboundOfCart;
  HttpConnectionManager manager;
  const auto read = [&] {
    const auto listener = content<Listener>(compile_inbound(inbound, AppProtocol::kHttp, {}, {}), Type::kListener);
    REQUIRE(listener.filter_chains(0).filters(0).typed_config().UnpackTo(&manager));
  };
  read();
  CHECK(manager.access_log().empty());
  inbound.access_log = "/dev/stdout";
  read();
  REQUIRE(manager.access_log_size() == 1);
  envoy::extensions::access_loggers::file::v3::FileAccessLog log;
  REQUIRE(manager.access_log(0).typed_config().UnpackTo(&log));
  CHECK(log.path() == "/dev/stdout");
  CHECK_THAT(log.log_format().text_format_source().inline_string(), Catch::Contains("%RESPONSE_CODE_DETAILS%"));
}

TEST_CASE("who may call is asked before the application is, of requests and of other connections") {
  auto policy = std::make_shared<registry::Authorization>();
  policy->spec = std::make_shared<v1::AuthorizationPolicySpec>();
  const registry::CallerRules rules = {{policy}, {}};
  const auto listener =
      content<Listener>(compile_inbound(kInboundOfCart, AppProtocol::kDetect, {}, rules), Type::kListener);
  HttpConnectionManager manager;
  REQUIRE(listener.filter_chains(0).filters(0).typed_config().UnpackTo(&manager));
  REQUIRE(manager.http_filters_size() == 2);
  CHECK(manager.http_filters(0).name() == "weft.authorization.allow");
  CHECK(manager.http_filters(1).name() == "envoy.filters.http.router");
  REQUIRE(listener.filter_chains_size() == 3);
  for (int i = 1; i < listener.filter_chains_size(); ++i) {
    REQUIRE(listener.filter_chains(i).filters_size() == 2);
    CHECK(listener.filter_chains(i).filters(0).name() == "weft.authorization.allow");
    CHECK(listener.filter_chains(i).filters(1).name() == "envoy.filters.network.tcp_proxy");
  }
}

}  // namespace
}  // namespace weft::control::compile
