#include <catch2/catch.hpp>

#include "proxy/tcp/session.h"
#include "proxy/tcp/worker.h"
#include "proxy/transport/plain_stream.h"
#include "tests/proxy/transport/loop_driver.h"

namespace weft::tcp {
namespace {

using transport::Address;
using transport::ByteStream;
using transport::testing::LoopDriver;
using transport::testing::StreamOwner;

// Keeps the last record's facts.
struct Log final : observe::AccessLog {
  void record(const observe::RequestRecord& record, uint32_t) override {
    ++records;
    cause = record.cause;
    cluster = std::string(record.upstream_cluster);
    host = std::string(record.upstream_host);
    remote = std::string(record.downstream.remote_address);
    received = record.request_body_bytes;
    sent = record.response_body_bytes;
    attempts = record.attempts;
  }
  void reopen() override {}
  void flush_worker(uint32_t) override {}
  uint64_t dropped_lines() const override { return 0; }
  int records = 0;
  http::Cause cause = http::Cause::kCount;
  std::string cluster, host, remote;
  uint64_t received = 0, sent = 0;
  uint32_t attempts = 0;
};

struct Listening {
  Listening() {
    auto made = transport::listen_on(Address::parse_ip("127.0.0.1", 0), {});
    REQUIRE(made.ok());
    fd = *std::move(made);
    address = transport::local_address(fd.get());
  }
  std::unique_ptr<transport::PlainStream> accept(event::LibeventLoop& loop) {
    Address peer;
    int error = 0;
    transport::Descriptor accepted = transport::accept_connection(fd.get(), &peer, &error);
    if (!accepted.open()) return nullptr;
    return std::make_unique<transport::PlainStream>(loop, std::move(accepted), peer, Address());
  }
  transport::Descriptor fd;
  Address address;
};

struct Fixture {
  Fixture() {
    config = std::make_shared<snapshot::TcpProxy>();
    config->stats = std::make_shared<observe::Family<observe::TcpStats>>("tcp.t.", "tcp_prefix", "t", 1);
    log = std::make_shared<Log>();
    config->access_logs.push_back(log);
    add_cluster("backend", {backend.address});
  }
  ~Fixture() {
    worker.reset();
    upstreams.reset();
  }
  void add_cluster(std::string name, std::vector<Address> hosts, uint32_t weight = 1) {
    cluster::ClusterConfig made;
    made.name = made.stat_name = name;
    made.connector = transport::make_plain_connector({});
    auto cluster = std::make_shared<cluster::Cluster>(std::move(made), 1);
    std::vector<cluster::HostPtr> list;
    for (const Address& host : hosts) list.push_back(std::make_shared<cluster::Host>(host, "", 1));
    cluster->set_hosts({list});
    config->destinations.push_back({name, slots.slot(name), weight});
    clusters.push_back(std::move(cluster));
    config->total_weight += weight;
  }
  // A client connected to the proxy; the proxy's session is started.
  void begin(base::Buffer early = {}) {
    if (worker == nullptr) {
      upstreams = pool::make_worker_upstreams(driver.loop(), random, 0);
      for (const auto& each : clusters) upstreams->assign(*slots.slot(each->name()), each);
      context = std::make_unique<pool::WorkerContext>(pool::WorkerContext{driver.loop(), random, *upstreams, 0});
      worker = std::make_unique<Worker>(*context);
      chain.name = "chain";
      chain.tcp = config;
    }
    client.own(transport::make_plain_connector({})->connect(driver.loop(), front.address));
    std::unique_ptr<ByteStream> accepted;
    REQUIRE(driver.run_until([&] {
      if (accepted == nullptr) accepted = front.accept(driver.loop());
      return accepted != nullptr && client.was_connected;
    }));
    bool begun = false;
    driver.loop().post([&] {
      worker->on_connection(std::move(accepted), listener, chain, std::move(early), {});
      begun = true;
    });
    REQUIRE(driver.run_until([&] { return begun; }));
  }
  void relay() {
    begin();
    REQUIRE(driver.run_until([&] {
      if (server.stream == nullptr) {
        if (auto accepted = backend.accept(driver.loop())) server.own(std::move(accepted));
      }
      return server.stream != nullptr;
    }));
  }
  bool ended() {
    return driver.run_until([&] { return worker->open_connections() == 0; });
  }
  observe::TcpStats& stats() { return config->stats->of_worker(0); }

  LoopDriver driver;
  base::Random random{7};
  Listening front, backend;
  std::shared_ptr<snapshot::TcpProxy> config;
  cluster::ClusterSlots slots;
  std::vector<cluster::ClusterPtr> clusters;
  std::shared_ptr<Log> log;
  snapshot::Listener listener;
  snapshot::FilterChain chain;
  std::unique_ptr<pool::WorkerUpstreams> upstreams;
  std::unique_ptr<pool::WorkerContext> context;
  std::unique_ptr<Worker> worker;
  StreamOwner client, server;
};

}  // namespace

TEST_CASE("bytes go both ways, each end goes on by itself, and the record says what was moved") {
  Fixture f;
  f.relay();
  f.client.send("question");
  f.client.stream->shutdown_write();
  REQUIRE(f.driver.run_until([&] { return f.server.ended; }));
  CHECK(f.server.received.to_string() == "question");
  // The other direction is still open.
  f.server.send("a long answer");
  REQUIRE(f.driver.run_until([&] { return f.client.received.size() == 13; }));
  CHECK(f.worker->open_connections() == 1);
  f.server.stream->shutdown_write();
  REQUIRE(f.driver.run_until([&] { return f.client.ended; }));
  REQUIRE(f.ended());
  CHECK(f.log->records == 1);
  CHECK(f.log->cause == http::Cause::kNone);
  CHECK(f.log->received == 8);
  CHECK(f.log->sent == 13);
  CHECK(f.log->cluster == "backend");
  CHECK(f.log->host == f.backend.address.to_string());
  CHECK(f.log->remote == f.client.stream->info().local.to_string());
  CHECK(f.stats().downstream_cx_total.value() == 1);
  CHECK(f.stats().downstream_cx_active.value() == 0);
  CHECK(f.stats().downstream_cx_rx_bytes_total.value() == 8);
  CHECK(f.stats().downstream_cx_tx_bytes_total.value() == 13);
}

TEST_CASE("bytes that protocol detection read go first") {
  Fixture f;
  base::Buffer early;
  early.append("early ");
  f.begin(std::move(early));
  f.client.send("late");
  REQUIRE(f.driver.run_until([&] {
    if (f.server.stream == nullptr) {
      if (auto accepted = f.backend.accept(f.driver.loop())) f.server.own(std::move(accepted));
    }
    return f.server.received.size() == 10;
  }));
  CHECK(f.server.received.to_string() == "early late");
}

TEST_CASE("a receiver that does not read stops the sender, and memory stays flat") {
  Fixture f;
  f.listener.per_connection_buffer_limit_bytes = 64 * 1024;
  f.relay();
  f.server.paused = true;
  std::string big(32 << 20, 'x');
  f.client.send(big);
  REQUIRE(f.driver.run_until([&] { return f.stats().downstream_flow_control_paused_reading_total.value() > 0; }));
  REQUIRE_FALSE(f.client.to_send.empty());
  f.server.paused = false;
  f.server.stream->read_later();
  REQUIRE(f.driver.run_until([&] { return f.server.received.size() == big.size(); }, 20'000));
  f.client.stream->shutdown_write();
  f.server.stream->shutdown_write();
  REQUIRE(f.ended());
  CHECK(f.stats().downstream_flow_control_resumed_reading_total.value() > 0);
}

TEST_CASE("a reset on one side is a reset on the other") {
  for (bool by_client : {true, false}) {
    Fixture f;
    f.relay();
    StreamOwner& breaker = by_client ? f.client : f.server;
    StreamOwner& other = by_client ? f.server : f.client;
    breaker.stream->close(ByteStream::CloseKind::kReset);
    REQUIRE(f.driver.run_until([&] { return other.failed; }));
    CHECK_FALSE(other.ended);
    REQUIRE(f.ended());
    CHECK(f.log->cause == (by_client ? http::Cause::kDownstreamReset : http::Cause::kUpstreamReset));
  }
}

TEST_CASE("another host is tried when one refuses, as often as configured") {
  Address dead;
  {
    dead = Listening().address;
  }
  Fixture f;
  f.config->destinations.clear();
  f.config->total_weight = 0;
  f.config->max_connect_attempts = 4;
  f.add_cluster("pair", {dead, f.backend.address});
  f.relay();
  f.client.send("x");
  REQUIRE(f.driver.run_until([&] { return f.server.received.size() == 1; }));

  Fixture g;
  g.config->destinations.clear();
  g.config->total_weight = 0;
  g.config->max_connect_attempts = 3;
  g.add_cluster("dead", {dead});
  g.begin();
  REQUIRE(g.driver.run_until([&] { return g.client.ended || g.client.failed; }));
  CHECK(g.log->cause == http::Cause::kConnectRefused);
  CHECK(g.log->attempts == 3);
}

TEST_CASE("without a host or a cluster the connection is closed with its cause") {
  Fixture f;
  f.config->destinations.clear();
  f.config->total_weight = 0;
  f.add_cluster("empty", {});
  f.begin();
  REQUIRE(f.driver.run_until([&] { return f.client.ended || f.client.failed; }));
  CHECK(f.log->cause == http::Cause::kNoHealthyUpstream);
  Fixture g;
  g.config->destinations.clear();
  g.begin();
  REQUIRE(g.driver.run_until([&] { return g.client.ended || g.client.failed; }));
  CHECK(g.log->cause == http::Cause::kNoCluster);
  CHECK(g.stats().downstream_cx_no_route.value() == 1);
}

TEST_CASE("a silent connection ends after the idle timeout, an old one after its longest duration") {
  Fixture f;
  f.config->idle_timeout_ms = 30;
  f.relay();
  REQUIRE(f.driver.run_until([&] { return f.client.ended && f.server.ended; }));
  CHECK(f.stats().idle_timeout.value() == 1);
  CHECK(f.log->cause == http::Cause::kStreamIdleTimeout);
  Fixture g;
  g.config->max_connection_duration_ms = 30;
  g.relay();
  REQUIRE(g.driver.run_until([&] { return g.client.ended && g.server.ended; }));
  CHECK(g.stats().max_downstream_connection_duration.value() == 1);
  CHECK(g.log->cause == http::Cause::kMaxStreamDuration);
}

TEST_CASE("clusters are chosen by weight, and one of weight zero never") {
  Fixture f;
  f.config->destinations.clear();
  f.config->total_weight = 0;
  Address dead;
  {
    dead = Listening().address;
  }
  f.add_cluster("never", {dead}, 0);
  f.add_cluster("always", {f.backend.address}, 5);
  f.relay();
  f.client.send("x");
  REQUIRE(f.driver.run_until([&] { return f.server.received.size() == 1; }));
  f.worker->close_all();
  CHECK(f.log->cluster == "always");
  CHECK(f.log->cause == http::Cause::kDrainTimeout);
}

// As the listener does for a client that says nothing yet.
struct EarlyFixture : Fixture {
  std::unique_ptr<snapshot::EarlyUpstream> dial() {
    if (worker == nullptr) {
      relay();
      client.stream.reset();
      server.stream.reset();
      REQUIRE(ended());
      server.received.clear();
      client.received.clear();
      client.ended = client.failed = client.was_connected = server.ended = server.failed = false;
    }
    std::unique_ptr<snapshot::EarlyUpstream> made;
    driver.loop().post([&] { made = worker->connect_early(chain, info, base::bind<&EarlyFixture::on_spoken>(this)); });
    REQUIRE(driver.run_until([&] { return made != nullptr; }));
    return made;
  }
  void accept_server() {
    REQUIRE(driver.run_until([&] {
      if (server.stream == nullptr) {
        if (auto accepted = backend.accept(driver.loop())) server.own(std::move(accepted));
      }
      return server.stream != nullptr;
    }));
  }
  void hand_over(std::unique_ptr<snapshot::EarlyUpstream> upstream) {
    client.own(transport::make_plain_connector({})->connect(driver.loop(), front.address));
    std::unique_ptr<ByteStream> accepted;
    REQUIRE(driver.run_until([&] {
      if (accepted == nullptr) accepted = front.accept(driver.loop());
      return accepted != nullptr && client.was_connected;
    }));
    bool begun = false;
    driver.loop().post([&] {
      worker->on_connection_with(std::move(upstream), std::move(accepted), listener, chain, {}, {});
      begun = true;
    });
    REQUIRE(driver.run_until([&] { return begun; }));
  }
  void on_spoken() { spoken = true; }

  transport::ConnectionInfo info;
  bool spoken = false;
};

TEST_CASE("an upstream that was connected to early says when it speaks, and its session misses nothing") {
  EarlyFixture f;
  auto upstream = f.dial();
  f.accept_server();
  CHECK_FALSE(f.spoken);
  f.server.send("220 hello\r\n");
  REQUIRE(f.driver.run_until([&] { return f.spoken; }));
  f.hand_over(std::move(upstream));
  REQUIRE(f.driver.run_until([&] { return f.client.received.size() == 11; }));
  f.client.send("EHLO\r\n");
  REQUIRE(f.driver.run_until([&] { return f.server.received.size() == 6; }));
  f.client.stream->close(ByteStream::CloseKind::kGraceful);
  f.server.stream->close(ByteStream::CloseKind::kGraceful);
  REQUIRE(f.ended());
  CHECK(f.log->host == f.backend.address.to_string());
  CHECK(f.log->attempts == 1);
}

TEST_CASE("a session takes over what still connects, and one that is given up leaves nothing behind") {
  EarlyFixture f;
  // Not accepted, and handed over in the same turn.
  f.hand_over(f.dial());
  f.accept_server();
  f.client.send("question");
  REQUIRE(f.driver.run_until([&] { return f.server.received.size() == 8; }));
  CHECK_FALSE(f.spoken);
  f.server.stream.reset();
  f.client.stream->close(ByteStream::CloseKind::kGraceful);
  REQUIRE(f.ended());

  auto upstream = f.dial();
  f.server.ended = false;
  f.accept_server();
  f.driver.loop().post([&] { upstream.reset(); });
  REQUIRE(f.driver.run_until([&] { return f.server.ended || f.server.failed; }));
  CHECK(f.clusters[0]->breakers(cluster::Priority::kDefault).connections() == 0);
}

TEST_CASE("where an upstream refused early, the session tells why") {
  EarlyFixture f;
  auto first = f.dial();
  f.accept_server();
  first.reset();
  f.backend.fd.reset();
  f.hand_over(f.dial());
  REQUIRE(f.ended());
  CHECK(f.log->cause == http::Cause::kConnectRefused);
}

}  // namespace weft::tcp
