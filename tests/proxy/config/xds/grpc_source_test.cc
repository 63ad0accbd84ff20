#include "proxy/config/xds/grpc_source.h"

#include "proxy/config/xds/type.h"
#include "tests/proxy/call/grpc_fixture.h"
#include "tests/proxy/config/xds/recorder.h"

namespace weft::config::xds {
namespace {

using Request = discovery_v3::DiscoveryRequest;

struct SourceFixture : call::GrpcFixture {
  explicit SourceFixture(GrpcSourceOptions changed = {}) : options(std::move(changed)) {
    options.control_planes.push_back({cluster, {}});
    options.conversation.node.set_id("n");
  }
  ~SourceFixture() {
    source.reset();
    loop.turn();
  }
  GrpcSource& make() {
    source = std::make_unique<GrpcSource>(worker, consumer, options, states);
    return *source;
  }
  void subscribe(Type type, std::vector<std::string> names = {}) {
    source->subscribe(type, std::move(names));
    loop.turn();
    loop.turn();
  }
  std::vector<Request> requests(size_t wire_index, uint32_t stream = 1) {
    std::vector<Request> result;
    for (const std::string& message : messages(wire_index, stream)) {
      result.emplace_back();
      REQUIRE(result.back().ParseFromString(message));
    }
    return result;
  }
  static std::string clusters(const std::string& version, const std::string& name) {
    discovery_v3::DiscoveryResponse response;
    response.set_type_url(std::string(type_url(Type::kCluster)));
    response.set_version_info(version);
    response.set_nonce("n-" + version);
    response.mutable_control_plane()->set_identifier("cp");
    auto* any = response.add_resources();
    any->set_type_url(response.type_url());
    any->set_value("\x0a" + std::string(1, static_cast<char>(name.size())) + name);
    return call::grpc_frame(response.SerializeAsString());
  }

  pool::WorkerContext worker = context();
  Recorder consumer;
  observe::ControlPlaneStats stats;
  StreamStates states{stats};
  GrpcSourceOptions options;
  std::unique_ptr<GrpcSource> source;
};

}  // namespace

TEST_CASE("an aggregated source carries all types on one stream, and acknowledges what it took") {
  SourceFixture f;
  f.make();
  CHECK_FALSE(f.source->connected());
  f.subscribe(Type::kCluster);
  f.subscribe(Type::kListener);
  f.serve(0);
  CHECK(f.source->connected());
  CHECK(f.stats.connected_state.value() == 1);
  REQUIRE(f.requests(0).size() == 2);
  f.arrive(0, call::grpc_head(1) + call::data(1, SourceFixture::clusters("1", "a")));
  REQUIRE(f.requests(0).size() == 3);
  CHECK(f.requests(0)[2].version_info() == "1");
  CHECK(f.consumer.have[Type::kCluster].count("a") == 1);
  CHECK(f.wires() == 1);
}

TEST_CASE("a lost stream comes back after a jittered wait, with the version it had; what runs goes on") {
  SourceFixture f;
  f.make();
  f.subscribe(Type::kCluster);
  f.serve(0);
  f.arrive(0, call::grpc_head(1) + call::data(1, SourceFixture::clusters("1", "a")));
  f.wire(0).reset();
  f.loop.turn();
  CHECK_FALSE(f.source->connected());
  CHECK(f.stats.connected_state.value() == 0);
  CHECK(f.consumer.updates.size() == 1);
  f.loop.advance_ms(249);
  CHECK(f.wires() == 1);
  f.loop.advance_ms(252);
  f.loop.turn();
  REQUIRE(f.wires() == 2);
  f.serve(1);
  REQUIRE(f.requests(1).size() == 1);
  CHECK(f.requests(1)[0].version_info() == "1");
  CHECK(f.requests(1)[0].node().id() == "n");
  CHECK(f.source->connected());
}

TEST_CASE("waits grow while nothing answers, and the next control plane is tried each time") {
  SourceFixture f;
  cluster::ClusterConfig config{f.cluster->config(), f.cluster->own(), ""};
  config.name = config.stat_name = "second";
  auto second = std::make_shared<cluster::Cluster>(std::move(config), 1);
  auto host = std::make_shared<cluster::Host>(transport::Address::parse_ip("10.0.0.9", 9), "", 1);
  second->set_hosts({{host}});
  cluster::ClusterSlotPtr second_slot = f.slots.slot("second");
  f.upstreams->assign(*second_slot, second);
  f.options.control_planes.push_back({second, {}});
  f.options.backoff_base_ms = 1'000;
  f.options.backoff_max_ms = 4'000;
  f.make();
  f.subscribe(Type::kCluster);
  std::vector<std::string> tried;
  int64_t before_ms = 0;
  for (size_t i = 0; i < 6; ++i) {
    int64_t waited_ms = 0;
    while (f.wires() <= i) {
      REQUIRE(++waited_ms < 10'000);
      f.loop.advance_ms(1);
    }
    tried.push_back(f.wire(i).to.to_string());
    int64_t step_ms = std::min<int64_t>(1'000 << (i == 0 ? 0 : i - 1), 4'000);
    if (i != 0) CHECK(waited_ms >= step_ms / 2);
    if (i != 0) CHECK(waited_ms <= step_ms + 3);
    before_ms = waited_ms;
    f.wire(i).refuse();
    f.loop.turn();
  }
  CHECK(before_ms != 0);
  for (size_t i = 0; i < 6; ++i) CHECK((tried[i] == "10.0.0.9:9") == (i % 2 == 1));
}

TEST_CASE("a server that sends what is no response is left and tried again") {
  SourceFixture f;
  f.make();
  f.subscribe(Type::kCluster);
  f.serve(0);
  f.arrive(0, call::grpc_head(1) + call::data(1, call::grpc_frame("\xff\xff\xff")));
  CHECK(f.was_reset(0, 1));
  CHECK_FALSE(f.source->connected());
  f.loop.advance_ms(501);
  f.loop.turn();
  CHECK(f.source->connected());
  CHECK(f.requests(0, 3).size() == 1);
}

TEST_CASE("a source that is not aggregated has a stream of each type's own service") {
  GrpcSourceOptions options;
  options.aggregated = false;
  SourceFixture f(options);
  f.make();
  f.subscribe(Type::kCluster);
  f.subscribe(Type::kEndpoints, {"a"});
  f.serve(0);
  if (f.wires() > 1) f.serve(1);
  f.loop.turn();
  std::vector<Request> all;
  for (size_t wire = 0; wire < f.wires(); ++wire) {
    for (uint32_t stream : {1u, 3u}) {
      auto found = f.requests(wire, stream);
      REQUIRE(found.size() <= 1);
      all.insert(all.end(), found.begin(), found.end());
    }
  }
  REQUIRE(all.size() == 2);
  for (const Request& request : all) CHECK(request.has_node());
  CHECK(all[0].type_url() != all[1].type_url());
}

TEST_CASE("requests above the rate wait, and go out as it allows") {
  GrpcSourceOptions options;
  options.rate_limit = RateLimit{1, 10};
  SourceFixture f(options);
  f.make();
  f.subscribe(Type::kCluster);
  f.subscribe(Type::kListener);
  f.serve(0);
  CHECK(f.requests(0).size() == 1);
  CHECK(f.stats.pending_requests.value() == 1);
  CHECK(f.stats.rate_limit_enforced.value() == 1);
  f.loop.advance_ms(102);
  CHECK(f.requests(0).size() == 2);
  CHECK(f.stats.pending_requests.value() == 0);
}

TEST_CASE("a server that is faster than the rate of answers is not read on") {
  GrpcSourceOptions options;
  options.rate_limit = RateLimit{1, 10};
  SourceFixture f(options);
  f.make();
  f.subscribe(Type::kCluster);
  f.serve(0);
  auto windows_opened = [&f] {
    size_t count = 0;
    for (const call::SentFrame& frame : f.sent(0)) count += frame.type == 8 && frame.stream == 1 ? 1 : 0;
    return count;
  };
  f.arrive(0, call::grpc_head(1) + call::data(1, SourceFixture::clusters("1", "a")));
  REQUIRE(f.stats.pending_requests.value() == 1);
  // Most of what the stream's window allows, once its settings are agreed upon.
  f.arrive(0, pool::frame(4, 1, 0, {}));
  f.arrive(0, call::long_data(1, call::grpc_frame(std::string(200'000, 'x')).substr(0, 200'000)));
  CHECK(windows_opened() == 0);
  f.loop.advance_ms(110);
  f.loop.turn();
  CHECK(f.stats.pending_requests.value() == 0);
  CHECK(windows_opened() == 1);
}

TEST_CASE("without a control plane what waits for it is told after the initial fetch timeout") {
  SourceFixture f;
  f.options.initial_fetch_timeout_ms = 2'000;
  f.make();
  f.subscribe(Type::kEndpoints, {"a"});
  f.wire(0).refuse();
  f.loop.advance_ms(2'000);
  REQUIRE(f.consumer.timeouts.size() == 1);
  CHECK(f.consumer.timeouts[0].second == std::vector<std::string>{"a"});
}

}  // namespace weft::config::xds
