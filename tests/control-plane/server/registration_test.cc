#include "control-plane/server/registration.h"

#include <catch2/catch.hpp>

#include "control-plane/compile/names.h"
#include "control-plane/server/mesh.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::server {
namespace {

using envoy::config::core::v3::Node;
using envoy::service::discovery::v3::DiscoveryRequest;

constexpr int64_t kGraceMs = 1'000;
const registry::WorkloadName kOne{.namespace_name = "shop", .service = "cart", .node = "one"};

Node node(bool has_application) {
  Node node;
  node.set_id("one");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"].set_string_value("shop");
  fields["service"].set_string_value("cart");
  if (!has_application) return node;
  fields["inbound_address"].set_string_value("10.0.0.1");
  fields["inbound_port"].set_number_value(15006);
  fields["app_port"].set_number_value(8080);
  return node;
}

// A stream that keeps what it is sent.
struct Proxy : xds::Sink {
  explicit Proxy(xds::Hub& hub) : hub(hub) { id = hub.open(xds::Form::kStateOfTheWorld, std::nullopt, "test", *this); }
  void send(const xds::Response& response) override { responses.push_back(response); }
  void end(const absl::Status& status) override { ended = status; }
  void ask(const Node& node, const std::string& nonce = "") {
    DiscoveryRequest request;
    *request.mutable_node() = node;
    request.set_type_url(std::string(snapshot::type_url(snapshot::Type::kListener)));
    request.set_response_nonce(nonce);
    hub.on_request(id, request);
  }

  xds::Hub& hub;
  xds::Hub::SessionId id;
  std::vector<xds::Response> responses;
  absl::Status ended;
};

struct Fixture {
  base::ManualClock clock;
  Mesh mesh{std::make_shared<registry::Model>(), {}};
  registry::Workloads workloads{kGraceMs};
  Drains drains;
  Registration registration{mesh, workloads, drains, clock};
  xds::Hub hub{registration, clock};
};

TEST_CASE("a workload is ready when its proxy has acknowledged its listener, and away when its stream has ended") {
  Fixture f;
  Proxy proxy(f.hub);
  proxy.ask(node(true));
  REQUIRE(f.workloads.all().contains(kOne));
  CHECK_FALSE(f.workloads.all().at(kOne).ready());
  REQUIRE(proxy.responses.size() == 1);
  proxy.ask(node(true), proxy.responses[0].nonce);
  CHECK(f.workloads.all().at(kOne).ready());
  f.clock.advance_ms(500);
  f.hub.close(proxy.id);
  CHECK(f.workloads.all().at(kOne).away);
  CHECK(f.workloads.due_ms() == 500 + kGraceMs);
  CHECK(f.mesh.view_count() == 0);
}

TEST_CASE("a workload whose proxy reports is ready when that says that its listener runs, not when it has it") {
  Fixture f;
  Proxy proxy(f.hub);
  Node reporting = node(true);
  reporting.add_client_features("weft.reports");
  proxy.ask(reporting);
  REQUIRE(proxy.responses.size() == 1);
  proxy.ask(reporting, proxy.responses[0].nonce);
  CHECK_FALSE(f.workloads.all().at(kOne).ready());

  const xds::Hub::ReportId report = f.hub.open_report();
  v1::ReportRequest first;
  *first.mutable_node() = reporting;
  first.set_sequence(1);
  const std::string url(snapshot::type_url(snapshot::Type::kListener));
  first.add_type_urls(url);
  v1::ResourceReport* listener = first.add_resources();
  listener->set_type_url(url);
  listener->set_name(std::string(compile::kInbound));
  SECTION("from the start") {
    listener->set_version(snapshot::version_text(1));
    first.set_complete(true);
    REQUIRE(f.hub.on_report(report, first).ok());
    CHECK(f.workloads.all().at(kOne).ready());
  }
  SECTION("later, when it is warm") {
    listener->set_warming_version(snapshot::version_text(1));
    first.set_complete(true);
    REQUIRE(f.hub.on_report(report, first).ok());
    CHECK_FALSE(f.workloads.all().at(kOne).ready());
    v1::ReportRequest next;
    next.set_sequence(2);
    *next.add_resources() = *listener;
    next.mutable_resources(0)->clear_warming_version();
    next.mutable_resources(0)->set_version(snapshot::version_text(1));
    REQUIRE(f.hub.on_report(report, next).ok());
    CHECK(f.workloads.all().at(kOne).ready());
  }
  SECTION("later, whatever its listener is by then, if it never says anything") {
    REQUIRE(f.registration.due_ms().has_value());
    f.clock.advance_ms(*f.registration.due_ms() - f.clock.monotonic_ms() - 1);
    f.registration.advance();
    CHECK_FALSE(f.workloads.all().at(kOne).ready());
    f.clock.advance_ms(1);
    f.registration.advance();
    CHECK(f.workloads.all().at(kOne).ready());
    CHECK_FALSE(f.registration.due_ms().has_value());
  }
  SECTION("never, if it says that its listener does not run") {
    first.set_complete(true);
    listener->mutable_refused()->set_reason("address in use");
    REQUIRE(f.hub.on_report(report, first).ok());
    f.clock.advance_ms(3'600'000);
    f.registration.advance();
    CHECK_FALSE(f.workloads.all().at(kOne).ready());
  }
  SECTION("not while the report has yet to tell the rest") {
    listener->set_version(snapshot::version_text(1));
    REQUIRE(f.hub.on_report(report, first).ok());
    CHECK_FALSE(f.workloads.all().at(kOne).ready());
    v1::ReportRequest next;
    next.set_sequence(2);
    next.set_complete(true);
    REQUIRE(f.hub.on_report(report, next).ok());
    CHECK(f.workloads.all().at(kOne).ready());
  }
}

TEST_CASE("a node without an application is no workload") {
  Fixture f;
  Proxy proxy(f.hub);
  proxy.ask(node(false));
  CHECK(f.workloads.all().empty());
  f.hub.close(proxy.id);
  CHECK(f.mesh.view_count() == 0);
}

TEST_CASE("the stream of a node that says something wrong is ended with what is wrong") {
  Fixture f;
  Proxy proxy(f.hub);
  Node wrong = node(true);
  (*wrong.mutable_metadata()->mutable_fields())["app_port"].set_number_value(0);
  proxy.ask(wrong);
  CHECK(proxy.ended.code() == absl::StatusCode::kInvalidArgument);
  CHECK(proxy.responses.empty());
  CHECK(f.workloads.all().empty());
  f.hub.close(proxy.id);
}

TEST_CASE("a workload whose connections are intercepted is an endpoint at its application's own port") {
  Fixture f;
  Node intercepted = node(true);
  auto& fields = *intercepted.mutable_metadata()->mutable_fields();
  fields.erase("inbound_port");
  auto& ports = *fields["interception"].mutable_struct_value()->mutable_fields();
  ports["outbound_port"].set_number_value(15001);
  ports["inbound_port"].set_number_value(15006);
  Proxy proxy(f.hub);
  proxy.ask(intercepted);
  REQUIRE(f.workloads.all().contains(kOne));
  CHECK(f.workloads.all().at(kOne).port == 8080);
  // Who only calls is nobody's endpoint.
  fields.erase("app_port");
  intercepted.set_id("two");
  Proxy caller(f.hub);
  caller.ask(intercepted);
  CHECK(caller.responses.size() == 1);
  CHECK(f.workloads.all().size() == 1);
}

}  // namespace
}  // namespace weft::control::server
