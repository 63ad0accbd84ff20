#include "proxy/config/report/reporter.h"

#include "tests/proxy/call/grpc_fixture.h"
#include "tests/proxy/config/report/fake_inventory.h"

namespace weft::config::report {
namespace {

struct ReporterFixture : call::GrpcFixture {
  ReporterFixture() {
    node.set_id("n");
    reporter->set_serving();
  }
  ~ReporterFixture() {
    reporter.reset();
    loop.turn();
  }
  void connect(std::string_view server) {
    reporter->on_connected({cluster, {}}, node, server);
    loop.turn();
    loop.turn();
  }
  std::vector<v1::ReportRequest> reports(size_t wire_index, uint32_t stream = 1) {
    std::vector<v1::ReportRequest> result;
    for (const std::string& message : messages(wire_index, stream)) {
      result.emplace_back();
      REQUIRE(result.back().ParseFromString(message));
    }
    return result;
  }
  std::string answer(uint64_t sequence, bool drained = false) {
    v1::ReportResponse response;
    response.set_sequence(sequence);
    response.set_drained(drained);
    return call::grpc_frame(response.SerializeAsString());
  }

  pool::WorkerContext worker = context();
  FakeInventory inventory;
  envoy::config::core::v3::Node node;
  event::ManualLoop workers[2] = {event::ManualLoop(clock), event::ManualLoop(clock)};
  std::unique_ptr<Reporter> reporter =
      std::make_unique<Reporter>(worker, inventory, Conversation::Process{"weft-proxy test", 0, false},
                                 std::vector<event::Loop*>{&workers[0], &workers[1]});
};

}  // namespace

TEST_CASE("only a control plane of ours is told what runs") {
  ReporterFixture f;
  f.connect("istiod");
  f.connect("");
  CHECK(f.wires() == 0);
  f.connect("weft-control");
  REQUIRE(f.wires() == 1);
  f.serve(0);
  REQUIRE(f.reports(0).size() == 1);
  CHECK(f.reports(0)[0].node().id() == "n");
}

TEST_CASE("the changes of a turn are told together, once every worker has them") {
  ReporterFixture f;
  f.connect("weft-control");
  f.serve(0);
  for (const char* name : {"a", "b"}) {
    f.inventory.running[cluster_key(name)].version = "1";
    f.reporter->on_resource_changed(cluster_key(name));
  }
  f.loop.turn();
  f.loop.turn();
  CHECK(f.reports(0).size() == 1);
  f.workers[0].turn();
  f.loop.turn();
  CHECK(f.reports(0).size() == 1);
  f.workers[1].turn();
  f.loop.turn();
  auto reports = f.reports(0);
  REQUIRE(reports.size() == 2);
  CHECK(reports[1].resources_size() == 2);
}

TEST_CASE("a report that was ended begins again after a while, unless the server takes none") {
  ReporterFixture f;
  f.connect("weft-control");
  f.serve(0);
  f.arrive(0, call::grpc_head(1) + call::data(1, f.answer(1)) + call::trailers(1, "14", "restarts"));
  f.loop.advance_ms(600);
  f.loop.turn();
  f.loop.turn();
  REQUIRE(f.reports(0, 3).size() == 1);
  CHECK(f.reports(0, 3)[0].complete());
  std::string fields = call::header("content-type", "application/grpc") + call::header("grpc-status", "12");
  f.arrive(0, call::head(3, "\x88" + fields, true));
  f.loop.advance_ms(30'000);
  f.loop.turn();
  f.loop.turn();
  CHECK(f.reports(0, 5).empty());
  // Another connection may be to a newer one.
  f.connect("weft-control");
  CHECK(f.reports(0, 5).size() == 1);
}

TEST_CASE("a worker that answers after the stream, or after the reporter, does no harm") {
  ReporterFixture f;
  f.connect("weft-control");
  f.serve(0);
  f.reporter->on_resource_changed(cluster_key("a"));
  f.loop.turn();
  f.reporter->on_disconnected();
  for (auto& each : f.workers) each.turn();
  f.loop.turn();
  f.connect("weft-control");
  f.reporter->on_resource_changed(cluster_key("a"));
  f.loop.turn();
  f.reporter.reset();
  for (auto& each : f.workers) each.turn();
  f.loop.turn();
  CHECK(f.reports(0).size() == 1);
}

TEST_CASE("who drains is told once when others know") {
  struct Server {
    void on_drained() { ++times; }
    int times = 0;
  } server;
  ReporterFixture f;
  f.connect("weft-control");
  f.serve(0);
  f.arrive(0, call::grpc_head(1) + call::data(1, f.answer(1, true)));
  f.reporter->set_draining(base::bind<&Server::on_drained>(&server));
  f.loop.turn();
  REQUIRE(f.reports(0).size() == 2);
  CHECK(f.reports(0)[1].process().draining());
  // What was said before is of nothing that it told.
  CHECK(server.times == 0);
  f.arrive(0, call::data(1, f.answer(2)));
  CHECK(server.times == 0);
  f.arrive(0, call::data(1, f.answer(2, true)));
  CHECK(server.times == 1);
  f.arrive(0, call::data(1, f.answer(2, true)));
  CHECK(server.times == 1);
}

TEST_CASE("the report ends with the discovery stream") {
  ReporterFixture f;
  f.connect("weft-control");
  f.serve(0);
  f.reporter->on_disconnected();
  f.loop.turn();
  CHECK(f.was_reset(0, 1));
  f.inventory.running[cluster_key("a")].version = "1";
  f.reporter->on_resource_changed(cluster_key("a"));
  f.loop.turn();
  CHECK(f.reports(0).size() == 1);
}

}  // namespace weft::config::report
