#include "control-plane/compile/node.h"

#include <catch2/catch.hpp>

#include "envoy/config/core/v3/base.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::core::v3::Node;

auto& fields(Node& node) { return *node.mutable_metadata()->mutable_fields(); }

Node sidecar() {
  Node node;
  node.set_id("cart-1");
  node.set_user_agent_name("weft-proxy");
  fields(node)["namespace"].set_string_value("shop");
  fields(node)["service"].set_string_value("cart");
  fields(node)["outbound_port"].set_number_value(15001);
  fields(node)["inbound_address"].set_string_value("10.0.0.1");
  fields(node)["inbound_port"].set_number_value(15006);
  fields(node)["app_port"].set_number_value(8080);
  return node;
}

auto& health(Node& node) { return *fields(node)["health"].mutable_struct_value()->mutable_fields(); }

std::string mistake(const Node& node) { return std::string(read_node(node).status().message()); }

TEST_CASE("a node's metadata says where it belongs and what stands behind it") {
  const auto claims = read_node(sidecar());
  REQUIRE(claims.ok());
  CHECK(claims->id == "cart-1");
  CHECK(claims->audience == Audience{.namespace_name = "shop", .is_weft = true, .outbound_port = 15001});
  CHECK(claims->service == "cart");
  REQUIRE(claims->inbound.has_value());
  Inbound inbound{.address = "10.0.0.1", .port = 15006, .app_port = 8080, .health = {}};
  inbound.service = {.namespace_name = "shop", .name = "cart"};
  inbound.is_weft = true;
  CHECK(*claims->inbound == inbound);
}

TEST_CASE("ports of loopback for connections that are not HTTP lead to services by name") {
  Node node = sidecar();
  auto& ports = *fields(node)["outbound_tcp"].mutable_struct_value()->mutable_fields();
  ports["15432"].set_string_value("db.shop:5432");
  CHECK(read_node(node)->audience.outbound_tcp == std::map<uint16_t, TcpTarget>{{15432, {"db.shop", 5432}}});
  ports["15432"].set_string_value("db.shop");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.outbound_tcp.\"15432\": \"db.shop\"; expected host:port"));
  ports["15432"].set_string_value("db.shop:70000");
  CHECK_THAT(mistake(node), Catch::Contains("expected host:port"));
  ports.clear();
  ports["web"].set_string_value("db.shop:5432");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.outbound_tcp.\"web\": \"db.shop:5432\"; expected at a port"));
  ports.clear();
  ports["15001"].set_string_value("db.shop:5432");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.outbound_tcp: has 15001, which is outbound_port"));
  ports.clear();
  ports["15006"].set_string_value("db.shop:5432");
  CHECK(read_node(node).ok());
  fields(node)["inbound_address"].set_string_value("127.0.0.1");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.inbound_port: 15006 on 127.0.0.1 is one of outbound_tcp, too"));
  fields(node)["outbound_tcp"].set_string_value("15432");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.outbound_tcp: \"15432\"; expected a struct"));
  node.set_user_agent_name("gRPC Go");
  CHECK(read_node(node)->audience.outbound_tcp.empty());
}

TEST_CASE("who answers questions of DNS has interception, which takes what is sent to the answers") {
  Node node = sidecar();
  fields(node)["dns"].set_bool_value(true);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.dns: is of no use without interception"));
  fields(node).erase("outbound_port");
  fields(node).erase("inbound_port");
  auto& interception = *fields(node)["interception"].mutable_struct_value()->mutable_fields();
  interception["outbound_port"].set_number_value(15001);
  interception["inbound_port"].set_number_value(15006);
  CHECK(read_node(node)->audience.resolves_names);
  fields(node)["dns"].set_bool_value(false);
  CHECK_FALSE(read_node(node)->audience.resolves_names);
  fields(node)["dns"].set_string_value("yes");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.dns: \"yes\"; expected true or false"));
}

TEST_CASE("a node without metadata belongs to the namespace default and has no listener") {
  const auto claims = read_node(Node());
  REQUIRE(claims.ok());
  CHECK(claims->audience == Audience{.namespace_name = "default"});
  CHECK_FALSE(claims->inbound.has_value());
}

TEST_CASE("of gRPC's own clients only the namespace counts") {
  Node node = sidecar();
  node.set_user_agent_name("gRPC Go");
  const auto claims = read_node(node);
  REQUIRE(claims.ok());
  CHECK(claims->audience == Audience{.namespace_name = "shop", .is_grpc_client = true});
  CHECK_FALSE(claims->inbound.has_value());
}

TEST_CASE("the check of the application's health comes with the node") {
  Node node = sidecar();
  health(node)["http"].set_string_value("/healthz");
  health(node)["interval_ms"].set_number_value(250);
  CHECK(read_node(node)->inbound->health == HealthProbe{HealthProbe::Kind::kHttp, "/healthz", 250});
  node = sidecar();
  health(node)["grpc"].set_string_value("");
  CHECK(read_node(node)->inbound->health == HealthProbe{HealthProbe::Kind::kGrpc, "", 5000});
  node = sidecar();
  health(node)["tcp"].set_bool_value(true);
  CHECK(read_node(node)->inbound->health == HealthProbe{HealthProbe::Kind::kTcp, "", 5000});
}

TEST_CASE("a node may want a line for each request to its application, and for nobody else's") {
  Node node = sidecar();
  fields(node)["access_log"].set_string_value("/dev/stdout");
  REQUIRE(read_node(node).ok());
  CHECK(read_node(node)->inbound->access_log == "/dev/stdout");
  for (const std::string& wrong : {std::string("requests.log"), std::string("/a\nb"), "/" + std::string(1024, 'a')}) {
    fields(node)["access_log"].set_string_value(wrong);
    CHECK_THAT(mistake(node),
               Catch::Contains("metadata.access_log: ") && Catch::Contains("expected a file's path from the root on"));
  }
  fields(node)["access_log"].set_string_value("/dev/stdout");
  for (const char* field : {"app_port", "inbound_address", "inbound_port", "service"}) fields(node).erase(field);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.access_log: is of no use without app_port"));
}

TEST_CASE("what a node says wrong is named with its place and what was expected") {
  struct Case {
    const char* field;
    google::protobuf::Value value;
    const char* message;
  };
  const auto number = [](double value) {
    google::protobuf::Value out;
    out.set_number_value(value);
    return out;
  };
  const auto text = [](const std::string& value) {
    google::protobuf::Value out;
    out.set_string_value(value);
    return out;
  };
  const Case cases[] = {
      {"outbound_port", number(70'000), "metadata.outbound_port: 70000; expected a port from 0 to 65535"},
      {"outbound_port", number(1.5), "metadata.outbound_port: 1.5; expected a port"},
      {"outbound_port", text("80"), "metadata.outbound_port: \"80\"; expected a port"},
      {"inbound_port", number(0), "metadata.inbound_port: 0; expected a port from 1 to 65535"},
      {"app_port", number(-1), "metadata.app_port: -1; expected a port from 1"},
      {"inbound_address", text("cart.example"), "metadata.inbound_address: \"cart.example\"; expected the IP address"},
      {"inbound_address", text("0.0.0.0"), "metadata.inbound_address: \"0.0.0.0\"; expected the IP address"},
      {"namespace", text("Shop"), "metadata.namespace: \"Shop\"; expected a name"},
      {"namespace", number(1), "metadata.namespace: 1; expected a name"},
      {"service", text(std::string(200, 'a')), "aaa…\"; expected a name of at most 63"},
      {"service", text("a\nb"), "metadata.service: \"a\\nb\"; expected a name"},
      {"service", text(""), "metadata.service: is missing"},
      {"health", text("/"), "metadata.health: \"/\"; expected a struct"},
  };
  for (const Case& each : cases) {
    Node node = sidecar();
    fields(node)[each.field] = each.value;
    INFO(each.field << " " << each.message);
    CHECK(read_node(node).status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(mistake(node), Catch::Contains("node \"cart-1\": metadata."));
    CHECK_THAT(mistake(node), Catch::Contains(each.message));
  }
}

TEST_CASE("what belongs together must be there together, on ports of its own") {
  for (const char* field : {"service", "inbound_address", "inbound_port"}) {
    Node node = sidecar();
    fields(node).erase(field);
    CHECK_THAT(mistake(node), Catch::Contains(std::string("metadata.") + field + ": is missing"));
  }
  Node node = sidecar();
  fields(node).erase("app_port");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.inbound_address: is of no use without app_port"));
  node = sidecar();
  node.clear_id();
  CHECK_THAT(mistake(node), Catch::Contains("node.id: is missing"));
  node = sidecar();
  node.set_id(std::string(300, 'x'));
  CHECK_THAT(mistake(node), Catch::Contains("expected at most 256 printable bytes"));
  node = sidecar();
  fields(node)["inbound_address"].set_string_value("127.0.0.1");
  CHECK(read_node(node).ok());
  fields(node)["inbound_port"].set_number_value(15001);
  CHECK_THAT(mistake(node), Catch::Contains("is outbound_port, too"));
  fields(node)["inbound_port"].set_number_value(8080);
  CHECK_THAT(mistake(node), Catch::Contains("is the application's own"));
}

TEST_CASE("a health check is one of the three kinds") {
  Node node = sidecar();
  fields(node)["health"].mutable_struct_value();
  CHECK_THAT(mistake(node), Catch::Contains("metadata.health: has 0 of http, tcp and grpc"));
  health(node)["http"].set_string_value("healthz");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.health.http: \"healthz\"; expected a path"));
  health(node)["http"].set_string_value("/");
  health(node)["tcp"].set_bool_value(true);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.health: has 2 of"));
  health(node).erase("tcp");
  health(node)["interval_ms"].set_number_value(1);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.health.interval_ms: 1; expected milliseconds from 100"));
}

Node intercepted() {
  Node node = sidecar();
  for (const char* field : {"outbound_port", "inbound_port"}) fields(node).erase(field);
  auto& ports = *fields(node)["interception"].mutable_struct_value()->mutable_fields();
  ports["outbound_port"].set_number_value(15001);
  ports["inbound_port"].set_number_value(15006);
  return node;
}

TEST_CASE("where a workload's connections are intercepted its proxy has both sides, and others reach the app's port") {
  const auto claims = read_node(intercepted());
  REQUIRE(claims.ok());
  CHECK(claims->audience ==
        Audience{.namespace_name = "shop", .is_weft = true, .capture = {.port = 15001, .ipv6 = true}});
  CHECK(*claims->inbound == Inbound{.address = "10.0.0.1",
                                    .port = 15006,
                                    .app_port = 8080,
                                    .health = {},
                                    .intercepted = true,
                                    .transparent = false,
                                    .ipv6 = true,
                                    .mtls = false,
                                    .service = {.namespace_name = "shop", .name = "cart"},
                                    .is_weft = true});
  Node node = intercepted();
  auto& interception = *fields(node)["interception"].mutable_struct_value()->mutable_fields();
  interception["mode"].set_string_value("TPROXY");
  interception["ipv6"].set_bool_value(false);
  CHECK(read_node(node)->inbound->transparent);
  CHECK_FALSE(read_node(node)->inbound->ipv6);
  CHECK_FALSE(read_node(node)->audience.capture.ipv6);
  // One that nobody calls is sent things, too.
  for (const char* field : {"service", "app_port", "inbound_address"}) fields(node).erase(field);
  REQUIRE(read_node(node).ok());
  CHECK(read_node(node)->inbound->app_port == 0);
}

TEST_CASE("a node that is wrong about its interception is told where") {
  Node node = intercepted();
  auto& interception = *fields(node)["interception"].mutable_struct_value()->mutable_fields();
  interception["mode"].set_string_value("NONE");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.interception.mode: \"NONE\"; expected REDIRECT or TPROXY"));
  interception.erase("mode");
  interception["ipv6"].set_string_value("yes");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.interception.ipv6: \"yes\"; expected true or false"));
  interception.erase("ipv6");
  interception["inbound_port"].set_number_value(15001);
  CHECK_THAT(mistake(node), Catch::Contains("15001 is outbound_port, too"));
  interception.erase("inbound_port");
  CHECK_THAT(mistake(node), Catch::Contains("metadata.interception.inbound_port: is missing"));
  node = intercepted();
  fields(node)["inbound_port"].set_number_value(15007);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.inbound_port: 15007; expected none beside interception"));
  node = intercepted();
  fields(node)["outbound_port"].set_number_value(15006);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.outbound_port: 15006 is one of interception's, too"));
  node = intercepted();
  fields(node)["app_port"].set_number_value(15006);
  CHECK_THAT(mistake(node), Catch::Contains("metadata.app_port: 15006 is the proxy's"));
}

}  // namespace
}  // namespace weft::control::compile
