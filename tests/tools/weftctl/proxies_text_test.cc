#include "tools/weftctl/proxies_text.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "weft/v1/name_table.pb.h"

namespace weft::weftctl {
namespace {

v1::ProxyResource resource(const std::string& name, v1::SyncState state, const google::protobuf::Message* content) {
  v1::ProxyResource out;
  out.set_name(name);
  out.set_state(state);
  out.set_applied_version("00000000000000aa");
  if (content != nullptr) out.mutable_content()->PackFrom(*content);
  return out;
}

v1::RolloutProgress progress(v1::RolloutProgress::State state, uint64_t applied, uint64_t concerned) {
  v1::RolloutProgress out;
  out.set_revision(7);
  out.set_state(state);
  out.set_applied(applied);
  out.set_concerned(concerned);
  return out;
}

}  // namespace

TEST_CASE("the status table says of each type how it stands, and below it what was refused and why") {
  CHECK(status_table({}) == "no proxy is connected\n");
  v1::ProxyStatusResponse response;
  v1::ProxyState* proxy = response.add_proxies();
  proxy->set_id("cart-1");
  proxy->set_namespace_("shop");
  proxy->set_service("cart");
  proxy->set_reports(true);
  proxy->set_applied_revision(6);
  v1::ProxyTypeState* type = proxy->add_types();
  type->set_type("cluster");
  type->set_state(v1::REFUSED);
  proxy->mutable_last_refusal()->set_type("cluster");
  proxy->mutable_last_refusal()->set_name("shop/pay:80");
  proxy->mutable_last_refusal()->set_version("0b");
  proxy->mutable_last_refusal()->set_reason("no such field");
  v1::ProxyState* envoy = response.add_proxies();
  envoy->set_id("envoy-1");
  envoy->set_applied_revision(7);
  CHECK(status_table(response) ==
        "PROXY    NAMESPACE  SERVICE  CONNECTED SINCE       CLUSTERS  ENDPOINTS  LISTENERS  ROUTES  SECRETS  NAMES  "
        "REVISION\n"
        "cart-1   shop       cart     1970-01-01T00:00:00Z  REFUSED   -          -          -       -        -      6 "
        "(but for what it refused)\n"
        "envoy-1  -          -        1970-01-01T00:00:00Z  -         -          -          -       -        -      7 "
        "(acknowledged)\n"
        "cart-1: cluster \"shop/pay:80\" version 0b was refused at 1970-01-01T00:00:00Z: no such field\n");
}

TEST_CASE("tables of what a proxy has show what a person looks for first") {
  envoy::config::endpoint::v3::ClusterLoadAssignment assignment;
  auto* endpoint = assignment.add_endpoints()->add_lb_endpoints();
  auto* socket = endpoint->mutable_endpoint()->mutable_address()->mutable_socket_address();
  socket->set_address("10.0.0.1");
  socket->set_port_value(8080);
  endpoint->mutable_load_balancing_weight()->set_value(3);
  v1::ProxyConfigResponse response;
  *response.add_resources() = resource("shop/cart:80", v1::SYNCED, &assignment);
  *response.add_resources() = resource("shop/gone:80", v1::MISSING, nullptr);
  CHECK(config_table("endpoint", response) ==
        "CLUSTER       ADDRESS   PORT  HEALTH   WEIGHT  VERSION           STATE\n"
        "shop/cart:80  10.0.0.1  8080  UNKNOWN  3       00000000000000aa  SYNCED\n"
        "shop/gone:80  -         -     -        -       00000000000000aa  MISSING\n");
}

TEST_CASE("a name is a row for each host, with the addresses that are answered") {
  v1::NameTable names;
  names.add_hosts("cart");
  names.add_hosts("cart.shop");
  names.add_addresses("10.1.0.1");
  names.add_addresses("fd00::1");
  v1::ProxyConfigResponse response;
  *response.add_resources() = resource("shop/cart", v1::SYNCED, &names);
  CHECK(config_table("name", response) ==
        "NAME       HOST       ADDRESSES         VERSION           STATE\n"
        "shop/cart  cart       10.1.0.1,fd00::1  00000000000000aa  SYNCED\n"
        "shop/cart  cart.shop  10.1.0.1,fd00::1  00000000000000aa  SYNCED\n");
}

TEST_CASE("a route is a row for each match, with where it leads") {
  envoy::config::route::v3::RouteConfiguration routes;
  auto* host = routes.add_virtual_hosts();
  host->add_domains("cart.shop");
  auto* split = host->add_routes();
  split->mutable_match()->set_path_separated_prefix("/api");
  for (const char* name : {"v1", "v2"}) {
    auto* cluster = split->mutable_route()->mutable_weighted_clusters()->add_clusters();
    cluster->set_name(name);
    cluster->mutable_weight()->set_value(5);
  }
  auto* rest = host->add_routes();
  rest->mutable_match()->set_prefix("/");
  rest->mutable_route()->set_cluster("v1");
  v1::ProxyConfigResponse response;
  *response.add_resources() = resource("outbound", v1::WARMING, &routes);
  CHECK(config_table("route", response) ==
        "NAME      HOST       MATCH   CLUSTER     VERSION           STATE\n"
        "outbound  cart.shop  /api/*  v1=5, v2=5  00000000000000aa  WARMING\n"
        "outbound  cart.shop  /*      v1          00000000000000aa  WARMING\n");
}

TEST_CASE("progress is a line, and a bar on a terminal") {
  const v1::RolloutProgress half = progress(v1::RolloutProgress::RUNNING, 2, 4);
  CHECK(progress_line(half) == "2 of 4 proxies have applied revision 7");
  CHECK(progress_bar(half, 8) == "[####....] 2 of 4 proxies have applied revision 7");
  CHECK(progress_bar(progress(v1::RolloutProgress::RUNNING, 0, 0), 2).starts_with("[..]"));
}

TEST_CASE("how a rollout ended names who has not applied it, and why") {
  v1::RolloutProgress applied = progress(v1::RolloutProgress::APPLIED, 3, 3);
  CHECK(rollout_end(applied) == "applied by 3 proxies\n");
  applied.set_acknowledged_only(1);
  CHECK(rollout_end(applied) == "applied by 3 proxies, of which 1 only acknowledged\n");
  CHECK(rollout_end(progress(v1::RolloutProgress::APPLIED, 0, 0)) == "no connected proxy is concerned\n");
  v1::RolloutProgress late = progress(v1::RolloutProgress::TIMED_OUT, 1, 5);
  late.set_refused(1);
  auto* refused = late.add_refusals();
  refused->set_id("a");
  refused->set_reason("cluster: no");
  auto* pending = late.add_pending();
  pending->set_id("b");
  pending->set_reason("has not acknowledged cluster resources");
  CHECK(rollout_end(late) ==
        "not applied everywhere: 1 of 5 proxies have applied revision 7\n"
        "a refused it: cluster: no\n"
        "b has not applied it: has not acknowledged cluster resources\n"
        "and 2 more\n");
}

TEST_CASE("durations have a unit") {
  CHECK(parse_duration_ms("500ms") == 500);
  CHECK(parse_duration_ms("30s") == 30'000);
  CHECK(parse_duration_ms("2m") == 120'000);
  CHECK(parse_duration_ms("1h") == 3'600'000);
  for (const char* bad : {"", "5", "s", "-1s", "1.5s", "1 s", "99999999999s", "3d"})
    CHECK_FALSE(parse_duration_ms(bad));
}

}  // namespace weft::weftctl
