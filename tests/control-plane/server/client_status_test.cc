#include "control-plane/server/client_status.h"

#include "control-plane/server/node_matcher.h"
#include "control-plane/server/proxy_messages.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "tests/control-plane/xds/hub_fixture.h"

namespace weft::control::server {
namespace {

namespace status_v3 = envoy::service::status::v3;
using Fixture = xds::HubFixture;

status_v3::ClientStatusResponse fetch(const Fixture& f, const status_v3::ClientStatusRequest& request = {}) {
  const auto response = client_status(f.hub, request);
  INFO(response.status().message());
  REQUIRE(response.ok());
  return *response;
}

TEST_CASE("a client's resources are told with their content and what the client said of them") {
  Fixture f;
  xds::Node good(f.hub, "good", false);
  xds::Node bad(f.hub, "bad", false);
  good.answer();
  bad.answer();
  const uint64_t version = f.commit(1, "a", 1);
  const auto sent = fetch(f).config(1).generic_xds_configs(0);
  CHECK(sent.config_status() == status_v3::STALE);
  CHECK(sent.client_status() == envoy::admin::v3::REQUESTED);
  good.answer();
  bad.answer("cluster \"a\": no");
  const auto response = fetch(f);
  REQUIRE(response.config_size() == 2);
  CHECK(response.config(0).node().id() == "bad");
  const auto& refused = response.config(0).generic_xds_configs(0);
  CHECK(refused.config_status() == status_v3::ERROR);
  CHECK(refused.client_status() == envoy::admin::v3::NACKED);
  CHECK(refused.error_state().details() == "cluster \"a\": no");
  CHECK(refused.error_state().version_info() == snapshot::version_text(version));
  CHECK(refused.error_state().has_failed_configuration());
  CHECK_FALSE(refused.has_xds_config());
  const auto& synced = response.config(1).generic_xds_configs(0);
  CHECK(synced.type_url() == "type.googleapis.com/envoy.config.cluster.v3.Cluster");
  CHECK(synced.name() == "a");
  CHECK(synced.config_status() == status_v3::SYNCED);
  CHECK(synced.client_status() == envoy::admin::v3::ACKED);
  CHECK(synced.version_info() == snapshot::version_text(version));
  envoy::config::cluster::v3::Cluster content;
  REQUIRE(synced.xds_config().UnpackTo(&content));
  CHECK(content.alt_stat_name() == "a1");
  status_v3::ClientStatusRequest without;
  without.set_exclude_resource_contents(true);
  CHECK_FALSE(fetch(f, without).config(1).generic_xds_configs(0).has_xds_config());
}

TEST_CASE("one of the request's matchers chooses the clients") {
  Fixture f;
  xds::Node a(f.hub, "cart-1", false);
  xds::Node b(f.hub, "pay-1", false);
  status_v3::ClientStatusRequest request;
  request.add_node_matchers()->mutable_node_id()->set_prefix("cart");
  const auto response = fetch(f, request);
  REQUIRE(response.config_size() == 1);
  CHECK(response.config(0).node().id() == "cart-1");
  request.add_node_matchers()->mutable_node_id()->set_exact("pay-1");
  CHECK(fetch(f, request).config_size() == 2);
  request.mutable_node_matchers(0)->mutable_node_id()->mutable_safe_regex()->set_regex("(");
  CHECK(client_status(f.hub, request).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a node matcher looks at the id and at all metadata that it names") {
  envoy::config::core::v3::Node node;
  node.set_id("Cart-1");
  auto& shop = *(*node.mutable_metadata()->mutable_fields())["shop"].mutable_struct_value();
  (*shop.mutable_fields())["tier"].set_string_value("gold");
  (*shop.mutable_fields())["size"].set_number_value(3);
  shop.mutable_fields()->operator[]("tags").mutable_list_value()->add_values()->set_string_value("x");
  envoy::type::matcher::v3::NodeMatcher matcher;
  const auto matches = [&] {
    const auto made = make_node_matcher(matcher);
    REQUIRE(made.ok());
    return (*made)(node);
  };
  CHECK(matches());
  matcher.mutable_node_id()->set_exact("cart-1");
  CHECK_FALSE(matches());
  matcher.mutable_node_id()->set_ignore_case(true);
  CHECK(matches());
  auto* metadata = matcher.add_node_metadatas();
  metadata->add_path()->set_key("shop");
  metadata->add_path()->set_key("tier");
  metadata->mutable_value()->mutable_string_match()->set_contains("ol");
  CHECK(matches());
  metadata = matcher.add_node_metadatas();
  metadata->add_path()->set_key("shop");
  metadata->add_path()->set_key("size");
  metadata->mutable_value()->mutable_double_match()->mutable_range()->set_start(1);
  metadata->mutable_value()->mutable_double_match()->mutable_range()->set_end(3);
  CHECK_FALSE(matches());
  metadata->mutable_value()->mutable_double_match()->set_exact(3);
  CHECK(matches());
  metadata = matcher.add_node_metadatas();
  metadata->add_path()->set_key("shop");
  metadata->add_path()->set_key("tags");
  metadata->mutable_value()->mutable_list_match()->mutable_one_of()->mutable_string_match()->set_exact("x");
  CHECK(matches());
  metadata = matcher.add_node_metadatas();
  metadata->add_path()->set_key("none");
  metadata->mutable_value()->set_present_match(true);
  CHECK_FALSE(matches());
  metadata->mutable_value()->set_present_match(false);
  CHECK(matches());
  metadata->clear_value();
  CHECK_FALSE(make_node_matcher(matcher).ok());
}

TEST_CASE("a secret is told without its key") {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.set_name("cert");
  secret.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_string("PUBLIC");
  secret.mutable_tls_certificate()->mutable_private_key()->set_inline_string("HIDDEN");
  secret.mutable_tls_certificate()->mutable_password()->set_inline_string("HIDDEN");
  const auto any = without_secrets(*snapshot::make_resource(snapshot::Type::kSecret, "cert", secret));
  CHECK(any.value().find("PUBLIC") != std::string::npos);
  CHECK(any.value().find("HIDDEN") == std::string::npos);
  secret.mutable_generic_secret()->mutable_secret()->set_inline_string("HIDDEN");
  const auto generic = without_secrets(*snapshot::make_resource(snapshot::Type::kSecret, "cert", secret));
  CHECK(generic.value().find("HIDDEN") == std::string::npos);
}

TEST_CASE("a rollout's message names who is waited for and for what") {
  Fixture f;
  xds::Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  v1::RolloutProgress progress = rollout_progress(f.hub, 1);
  REQUIRE(progress.pending_size() == 1);
  CHECK(progress.pending(0).id() == "proxy");
  CHECK(progress.pending(0).reason() == "has not acknowledged cluster resources");
  proxy.answer();
  CHECK(rollout_progress(f.hub, 1).pending(0).reason() == "cluster \"a\" is not in force yet");
  REQUIRE(proxy.tell("a", version).ok());
  progress = rollout_progress(f.hub, 1);
  CHECK(progress.state() == v1::RolloutProgress::APPLIED);
  CHECK(progress.applied() == 1);
  CHECK(progress.acknowledged_only() == 0);
}

TEST_CASE("a proxy that has come further than a commit is waited for by what that commit brought") {
  Fixture f;
  xds::Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  proxy.answer();
  f.commit(2, "b", 1);
  const auto reason = [&](xds::Revision revision) {
    const v1::RolloutProgress progress = rollout_progress(f.hub, revision);
    return progress.pending().empty() ? "" : progress.pending(0).reason();
  };
  CHECK(reason(1) == "cluster \"a\" is not in force yet");
  CHECK(reason(2) == "has not acknowledged cluster resources");
  REQUIRE(proxy.tell("a", version).ok());
  proxy.answer();
  CHECK(reason(1).empty());
  CHECK(reason(2) == "cluster \"b\" is not in force yet");
}

TEST_CASE("a proxy that loads is waited for by what it has not come to yet") {
  Fixture f;
  const uint64_t version = f.commit(1, "a", 1);
  const auto reason = [&] {
    const v1::RolloutProgress progress = rollout_progress(f.hub, 1);
    return progress.pending().empty() ? "" : progress.pending(0).reason();
  };
  xds::Node proxy(f.hub, "proxy", true);
  CHECK(reason() == "has not acknowledged cluster resources");
  proxy.answer();
  CHECK(reason() == "has not reported what it runs");
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
  CHECK(reason() == "cluster \"a\" is not in force yet");
  REQUIRE(proxy.tell("a", version).ok());
  CHECK(reason().empty());
}

TEST_CASE("a proxy's status and configuration are told by its id") {
  Fixture f;
  xds::Node proxy(f.hub, "proxy", false);
  proxy.answer();
  f.commit(4, "a", 1);
  proxy.answer("cluster \"a\": no");
  const v1::ProxyStatusResponse status = proxy_status(f.hub, "proxy");
  REQUIRE(status.proxies_size() == 1);
  CHECK(status.revision() == 4);
  CHECK(status.proxies(0).namespace_() == "default");
  CHECK(status.proxies(0).types(0).state() == v1::REFUSED);
  CHECK(status.proxies(0).last_refusal().reason() == "cluster \"a\": no");
  CHECK(proxy_status(f.hub, "other").proxies().empty());
  v1::ProxyConfigRequest request;
  request.set_proxy("proxy");
  request.set_type("cluster");
  const auto config = proxy_config(f.hub, request);
  REQUIRE(config.ok());
  REQUIRE(config->resources_size() == 1);
  CHECK(config->resources(0).state() == v1::REFUSED);
  CHECK(config->resources(0).acknowledged_version().empty());
  request.set_type("clusters");
  CHECK(proxy_config(f.hub, request).status().code() == absl::StatusCode::kInvalidArgument);
  request.set_type("cluster");
  request.set_proxy("other");
  CHECK(proxy_config(f.hub, request).status().code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft::control::server
