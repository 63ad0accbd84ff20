#include "proxy/config/dynamic/listeners.h"

#include <algorithm>

#include "envoy/config/listener/v3/listener.pb.h"
#include "proxy/config/compile/resource.h"
#include "tests/proxy/config/dynamic/fixture.h"

namespace weft::config {
namespace {

// Needs that a test settles by hand, by the listeners' names.
struct FakeNeeds final : ListenerNeeds {
  struct Need final : ListenerNeed {
    Need(FakeNeeds& owner, bool settled) : owner(owner), is_settled(settled) {
      owner.most_alive = std::max(owner.most_alive, ++owner.alive);
    }
    ~Need() override { --owner.alive; }
    bool settled() const override { return is_settled; }
    FakeNeeds& owner;
    bool is_settled;
    std::function<void()> on_settled;
  };
  std::unique_ptr<ListenerNeed> need(const snapshot::Listener& listener, std::function<void()> on_settled) override {
    auto made = std::make_unique<Need>(*this, at_once);
    made->on_settled = std::move(on_settled);
    newest[listener.name] = made.get();
    return made;
  }
  void settle(const std::string& name) {
    newest.at(name)->is_settled = true;
    newest.at(name)->on_settled();
  }
  bool at_once = true;
  int alive = 0, most_alive = 0;
  std::map<std::string, Need*> newest;
};

struct ListenersFixture : ListenerPublisher {
  using Shared = std::shared_ptr<const listener::SharedListener>;
  using Retired = std::shared_ptr<snapshot::RetiredChains>;
  void listen(Shared listener, const std::vector<listener::ListenAddressPtr>& addresses, Retired chains) override {
    ++listened;
    running[listener->listener->name] = listener;
    bound[listener->listener->name] = addresses.at(0)->bound();
    sockets[listener->listener->name] = addresses.at(0)->socket(0);
    if (chains != nullptr) retired.push_back(std::move(chains));
  }
  void stop_listener(const std::string& name, Retired chains) override {
    running.erase(name);
    sockets.erase(name);
    retired.push_back(std::move(chains));
  }
  void close_retired(Retired chains) override { closed.push_back(std::move(chains)); }

  // A chain for connections from this port; `more` are further fields of its TCP proxy.
  static std::string chain(int source_port, const std::string& more = "") {
    return "{ filter_chain_match: { source_ports: [" + std::to_string(source_port) + "] }, filters: [ { name: tcp, " +
           "typed_config: { '@type': " +
           "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: a" +
           more + " } } ] }";
  }
  static xds::Resource listener(const std::string& name, const std::vector<std::string>& chains, int port = 0,
                                const std::string& more = "") {
    std::string yaml = "{ name: " + name +
                       ", address: { socket_address: { address: 127.0.0.1, port_value: " + std::to_string(port) +
                       " } }, filter_chains: [ ";
    for (const std::string& each : chains) yaml += each + ", ";
    return Fixture::resource<envoy::config::listener::v3::Listener>(name, yaml + "]" + more + " }");
  }
  std::vector<xds::Refusal> all(std::vector<xds::Resource> some) {
    return listeners.on_update("source", {"1", std::move(some), {}, true});
  }
  void finish_drains() {
    for (const Retired& each : retired) each->worker_done();
    retired.clear();
    listeners.tick();
  }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  SharedParts parts;
  FakeNeeds needs;
  int listened = 0;
  std::map<std::string, Shared> running;
  std::map<std::string, transport::Address> bound;
  std::map<std::string, listener::ListenSocket> sockets;
  std::vector<Retired> retired, closed;
  Listeners listeners{parts, loop, {&needs}, *this, {1, 30'000, nullptr}};
};

TEST_CASE("listeners come, change in place and go") {
  ListenersFixture f;
  CHECK(f.all({f.listener("a", {f.chain(1)}), f.listener("b", {f.chain(1)})}).empty());
  CHECK(f.running.size() == 2);
  listener::ListenSocket socket = f.sockets["a"];
  CHECK(f.all({f.listener("a", {f.chain(1), f.chain(2)}), f.listener("b", {f.chain(1)})}).empty());
  CHECK(f.listened == 3);
  // It has the sockets of the one before, and that one's chain: nothing of it ends.
  CHECK(f.sockets["a"] == socket);
  REQUIRE(f.retired.size() == 1);
  CHECK(f.retired[0]->empty());
  CHECK(f.listeners.stats().listener_in_place_updated.value() == 1);
  f.all({f.listener("b", {f.chain(1)})});
  CHECK(f.running.count("a") == 0);
  REQUIRE(f.retired.size() == 2);
  CHECK(f.retired[1]->size() == 2);
  CHECK(f.listeners.stats().total_listeners_draining.value() == 1);
  f.finish_drains();
  CHECK(f.listeners.draining().empty());
  CHECK(f.needs.alive == 1);
}

TEST_CASE("inbound listeners drain alone, and none comes after that") {
  ListenersFixture f;
  auto in = f.listener("in", {f.chain(1)}, 0, ", traffic_direction: INBOUND");
  auto out = f.listener("out", {f.chain(1)}, 0, ", traffic_direction: OUTBOUND");
  f.all({in, out});
  CHECK(f.listeners.drain_inbound());
  CHECK(f.running.count("in") == 0);
  CHECK(f.running.count("out") == 1);
  CHECK_FALSE(f.listeners.inbound_drained());
  // The control plane still gives both.
  CHECK(f.all({in, out}).empty());
  CHECK(f.all({f.listener("in", {f.chain(2)}, 0, ", traffic_direction: INBOUND"), out}).empty());
  CHECK(f.running.count("in") == 0);
  CHECK(f.listened == 2);
  f.all({out, f.listener("later", {f.chain(1)})});
  CHECK(f.running.count("later") == 1);
  f.finish_drains();
  CHECK(f.listeners.inbound_drained());
  CHECK_FALSE(f.listeners.drain_inbound());
}

TEST_CASE("only filter chains whose content changed end") {
  ListenersFixture f;
  f.all({f.listener("a", {f.chain(1), f.chain(2), f.chain(3)})});
  auto before = f.running["a"]->listener;
  f.all({f.listener("a", {f.chain(3), f.chain(2, ", idle_timeout: 3s"), f.chain(1)})});
  auto now = f.running["a"]->listener;
  CHECK(now->filter_chains[0] == before->filter_chains[2]);
  CHECK(now->filter_chains[2] == before->filter_chains[0]);
  REQUIRE(f.retired.size() == 1);
  CHECK(f.retired[0]->size() == 1);
  CHECK(f.retired[0]->contains(*before->filter_chains[1]));
  CHECK_FALSE(f.retired[0]->contains(*before->filter_chains[0]));
  // What a chain has of its listener changes all of them.
  f.all({f.listener("a", {f.chain(1)}, 0, ", per_connection_buffer_limit_bytes: 4096")});
  REQUIRE(f.retired.size() == 2);
  CHECK(f.retired[1]->size() == 3);
}

TEST_CASE("what is the same again changes nothing; what waits is dropped when what runs is wanted again") {
  ListenersFixture f;
  auto a = f.listener("a", {f.chain(1)});
  f.all({a});
  f.all({a});
  CHECK(f.listened == 1);
  f.needs.at_once = false;
  f.all({f.listener("a", {f.chain(2)})});
  CHECK(f.listeners.entries().at("a").warming != nullptr);
  CHECK(f.listened == 1);
  f.all({a});
  CHECK(f.listeners.entries().at("a").warming == nullptr);
  CHECK(f.needs.alive == 1);
}

TEST_CASE("a listener waits for what it needs, and the one before serves until then") {
  ListenersFixture f;
  f.all({f.listener("a", {f.chain(1)})});
  auto before = f.running["a"];
  f.needs.at_once = false;
  f.all({f.listener("a", {f.chain(2)})});
  CHECK(f.running["a"] == before);
  f.needs.settle("a");
  CHECK(f.running["a"] != before);
  // What the one before needed goes with its last connection.
  CHECK(f.needs.alive == 2);
  f.finish_drains();
  CHECK(f.needs.alive == 1);
}

TEST_CASE("a listener that changes while it waits keeps what it has of its needs") {
  ListenersFixture f;
  f.needs.at_once = false;
  f.all({f.listener("a", {f.chain(1)})});
  f.all({f.listener("a", {f.chain(2)})});
  CHECK(f.needs.most_alive == 2);
  CHECK(f.needs.alive == 1);
  f.needs.settle("a");
  CHECK(f.running.count("a") == 1);
}

TEST_CASE("the drain time bounds how long connections may last") {
  ListenersFixture f;
  f.all({f.listener("a", {f.chain(1)})});
  f.all({});
  f.loop.advance_ms(29'999);
  f.listeners.tick();
  CHECK(f.closed.empty());
  f.loop.advance_ms(1);
  f.listeners.tick();
  f.listeners.tick();
  REQUIRE(f.closed.size() == 1);
  CHECK(f.closed[0] == f.retired[0]);
  CHECK(f.listeners.draining().size() == 1);
  f.finish_drains();
  CHECK(f.listeners.draining().empty());
}

TEST_CASE("a bad listener is refused with the field's path, the good ones beside it are taken, and the old one stays") {
  ListenersFixture f;
  f.all({f.listener("a", {f.chain(1)})});
  auto before = f.running["a"];
  auto refusals =
      f.all({f.listener("a", {f.chain(1, ", max_connect_attempts: 0")}), f.listener("b", {f.chain(1)}),
             f.listener("twice", {f.chain(1), f.chain(1)}), f.listener("api", {}, 0, ", api_listener: {}")});
  REQUIRE(refusals.size() == 3);
  CHECK(refusals[0].name == "a");
  CHECK(refusals[0].reason.find("filter_chains[0].filters[0].typed_config.max_connect_attempts") == 0);
  CHECK(refusals[1].reason.find("match the same connections") != std::string::npos);
  CHECK(refusals[2].reason.find("api_listener: ") == 0);
  CHECK(f.running["a"] == before);
  CHECK(f.running.count("b") == 1);
  CHECK(f.listeners.ledger().refused().size() == 3);
  CHECK(f.all({f.listener("a", {f.chain(1)})}).empty());
  CHECK(f.listeners.ledger().refused().empty());
}

TEST_CASE("an address that another listener has, or that cannot be bound, is a refusal") {
  ListenersFixture f;
  f.all({f.listener("a", {f.chain(1)})});
  int port = f.bound["a"].port;
  auto a = f.listener("a", {f.chain(1)});
  auto refusals = f.all({a, f.listener("b", {f.chain(1)}, port)});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason == "address: 127.0.0.1:" + std::to_string(port) + " is the address of listener \"a\"");
  auto elsewhere = f.listener("c", {f.chain(1)});
  envoy::config::listener::v3::Listener message;
  REQUIRE(elsewhere.body.UnpackTo(&message));
  message.mutable_address()->mutable_socket_address()->set_address("203.0.113.1");
  elsewhere.body.PackFrom(message);
  refusals = f.all({a, elsewhere});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason.find("address: cannot listen on 203.0.113.1:0") == 0);
  CHECK(f.running.size() == 1);
}

TEST_CASE("a listener of another name goes on with the sockets of one that goes in the same update") {
  ListenersFixture f;
  // A port that was free a moment ago.
  f.all({f.listener("first", {f.chain(1)})});
  int port = f.bound["first"].port;
  f.all({});
  REQUIRE(f.all({f.listener("old", {f.chain(1)}, port)}).empty());
  listener::ListenSocket socket = f.sockets["old"];
  CHECK(f.all({f.listener("new", {f.chain(1)}, port)}).empty());
  CHECK(f.sockets["new"] == socket);
  CHECK(f.running.count("old") == 0);
}

TEST_CASE("a listener of the bootstrap is not changed by a source, and the start waits for all") {
  ListenersFixture f;
  f.needs.at_once = false;
  auto fixed = compile_listener_resource(f.parts, "fixed", f.listener("fixed", {f.chain(1)}).body, {});
  REQUIRE(fixed.ok());
  REQUIRE(f.listeners.add_static(*fixed).ok());
  bool ready = false;
  f.listeners.await("source");
  f.listeners.start([&] { ready = true; });
  auto refusals = f.all({f.listener("fixed", {f.chain(2)}), f.listener("a", {f.chain(1)})});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason == "the bootstrap has a listener of this name");
  CHECK(f.listeners.awaited() == std::vector<std::string>{"a", "fixed"});
  f.needs.settle("a");
  CHECK_FALSE(ready);
  f.needs.settle("fixed");
  CHECK(ready);
  f.all({});
  CHECK(f.running.count("fixed") == 1);
}

TEST_CASE("the start goes on when no listeners come in time") {
  ListenersFixture f;
  bool ready = false;
  f.listeners.await("source");
  f.listeners.start([&] { ready = true; });
  CHECK_FALSE(ready);
  f.listeners.on_fetch_timeout("source");
  CHECK(ready);
}

TEST_CASE("with 1,000 filter chains a change of one compiles and ends one") {
  ListenersFixture f;
  std::vector<std::string> chains;
  for (int i = 1; i <= 1'000; ++i) chains.push_back(f.chain(i));
  f.all({f.listener("a", chains)});
  auto before = f.running["a"]->listener;
  chains[471] = f.chain(472, ", idle_timeout: 3s");
  f.all({f.listener("a", chains)});
  auto now = f.running["a"]->listener;
  int made = 0;
  for (size_t i = 0; i < chains.size(); ++i) made += now->filter_chains[i] != before->filter_chains[i];
  CHECK(made == 1);
  CHECK(f.retired[0]->size() == 1);
}

}  // namespace
}  // namespace weft::config
