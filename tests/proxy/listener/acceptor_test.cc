#include "proxy/listener/acceptor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "proxy/listener/listen_sockets.h"
#include "proxy/transport/tls_config.h"
#include "tests/proxy/transport/loop_driver.h"
#include "tests/proxy/transport/test_certificates.h"

namespace weft::listener {
namespace {

using transport::Address;
using transport::ByteStream;
using transport::testing::KeyKind;
using transport::testing::LoopDriver;
using transport::testing::StreamOwner;
using transport::testing::TestCertificate;

// Keeps what it is handed.
struct Handler final : snapshot::ConnectionHandler {
  struct Connection {
    std::string chain;
    StreamOwner owner;
    snapshot::ConnectionTicket ticket;
  };
  void on_connection(std::unique_ptr<ByteStream> stream, const snapshot::Listener&, const snapshot::FilterChain& chain,
                     base::Buffer early, snapshot::ConnectionTicket ticket) override {
    auto connection = std::make_unique<Connection>();
    connection->chain = chain.name;
    connection->owner.received.move_from(early);
    connection->owner.own(std::move(stream));
    connection->ticket = std::move(ticket);
    connections.push_back(std::move(connection));
  }
  // What was begun early, until it is given up or comes with its connection.
  struct Early final : snapshot::EarlyUpstream {
    explicit Early(Handler& handler) : handler(handler) { ++handler.begun; }
    ~Early() override { ++handler.ended; }
    Handler& handler;
  };
  std::unique_ptr<snapshot::EarlyUpstream> connect_early(const snapshot::FilterChain& chain,
                                                         const transport::ConnectionInfo&,
                                                         base::Callback<void()> on_first_bytes) override {
    early_chain = chain.name;
    upstream_speaks = on_first_bytes;
    return std::make_unique<Early>(*this);
  }
  void on_connection_with(std::unique_ptr<snapshot::EarlyUpstream> upstream, std::unique_ptr<ByteStream> stream,
                          const snapshot::Listener& listener, const snapshot::FilterChain& chain, base::Buffer early,
                          snapshot::ConnectionTicket ticket) override {
    CHECK(upstream != nullptr);
    ++with_upstream;
    on_connection(std::move(stream), listener, chain, std::move(early), std::move(ticket));
  }

  std::vector<std::unique_ptr<Connection>> connections;
  std::string early_chain;
  base::Callback<void()> upstream_speaks;
  int begun = 0, ended = 0, with_upstream = 0;
};

struct Fixture {
  Fixture() {
    listener = std::make_shared<snapshot::Listener>();
    listener->name = "test";
    listener->addresses = {Address::parse_ip("127.0.0.1", 0)};
    listener->stats =
        std::make_shared<observe::Family<observe::ListenerStats>>("listener.test.", "listener", "test", 1);
  }
  snapshot::FilterChain& add_chain(std::string name) {
    auto chain = std::make_shared<snapshot::FilterChain>();
    chain->name = std::move(name);
    chain->tcp = std::make_shared<snapshot::TcpProxy>();
    listener->filter_chains.push_back(chain);
    return *chain;
  }
  void start() {
    auto bound = ListenAddress::bind(*listener, listener->addresses[0], 1);
    INFO(bound.status());
    REQUIRE(bound.ok());
    listening = *std::move(bound);
    REQUIRE(listening->listen(*listener).ok());
    address = listening->bound();
    auto shared = make_shared_listener(listener, global);
    REQUIRE(shared.ok());
    acceptor = std::make_unique<Acceptor>(driver.loop(), 0, *shared, std::vector{listening->socket(0)},
                                          Acceptor::Handlers{http, tcp});
  }
  std::unique_ptr<StreamOwner> connect() {
    return std::make_unique<StreamOwner>(transport::make_plain_connector({})->connect(driver.loop(), address));
  }
  observe::ListenerStats& stats() { return listener->stats->of_worker(0); }
  bool handed_over(size_t n) {
    return driver.run_until([&] { return tcp.connections.size() == n; });
  }

  LoopDriver driver;
  std::shared_ptr<snapshot::Listener> listener;
  std::shared_ptr<ConnectionLimit> global = std::make_shared<ConnectionLimit>();
  Handler http, tcp;
  ListenAddressPtr listening;
  Address address;
  std::unique_ptr<Acceptor> acceptor;
};

}  // namespace

TEST_CASE("accepted connections go to the handler of their chain, and are counted while they last") {
  Fixture f;
  f.add_chain("only");
  f.start();
  auto a = f.connect();
  auto b = f.connect();
  a->send("hello");
  REQUIRE(f.handed_over(2));
  CHECK(f.stats().downstream_cx_total.value() == 2);
  CHECK(f.stats().downstream_cx_active.value() == 2);
  CHECK(f.global->open() == 2);
  REQUIRE(f.driver.run_until(
      [&] { return f.tcp.connections[0]->owner.received.size() + f.tcp.connections[1]->owner.received.size() == 5; }));
  CHECK(f.tcp.connections[0]->owner.stream->info().local == f.address);
  f.tcp.connections.clear();
  CHECK(f.stats().downstream_cx_active.value() == 0);
  CHECK(f.stats().downstream_cx_destroy.value() == 2);
  CHECK(f.global->open() == 0);
}

TEST_CASE("connections above the listener's or the process's limit are closed at once") {
  Fixture f;
  f.add_chain("only");
  f.listener->max_connections = 1;
  f.start();
  auto a = f.connect();
  REQUIRE(f.handed_over(1));
  auto b = f.connect();
  REQUIRE(f.driver.run_until([&] { return b->ended || b->failed; }));
  CHECK(f.stats().downstream_cx_overflow.value() == 1);
  f.tcp.connections.clear();
  auto c = f.connect();
  REQUIRE(f.handed_over(1));
  f.tcp.connections.clear();
  f.global->set_most(0);
  auto d = f.connect();
  REQUIRE(f.driver.run_until([&] { return d->ended || d->failed; }));
  CHECK(f.stats().downstream_global_cx_overflow.value() == 1);
}

TEST_CASE("the chain is chosen by the ClientHello, whose bytes go on to the one who serves") {
  Fixture f;
  f.listener->inspect_tls = true;
  f.add_chain("named").match.server_names = {"a.example"};
  f.add_chain("plain").match.transport_protocol = "raw_buffer";
  f.start();
  transport::ClientTlsConfig tls;
  tls.sni = "a.example";
  StreamOwner client((*transport::make_tls_connector(tls, {}))->connect(f.driver.loop(), f.address));
  REQUIRE(f.handed_over(1));
  CHECK(f.tcp.connections[0]->chain == "named");
  CHECK(f.tcp.connections[0]->owner.stream->info().detected_server_name == "a.example");
  CHECK(f.tcp.connections[0]->owner.received.to_string().starts_with("\x16\x03"));
  auto plain = f.connect();
  plain->send("GET");
  REQUIRE(f.handed_over(2));
  CHECK(f.tcp.connections[1]->chain == "plain");
  CHECK(f.tcp.connections[1]->owner.received.to_string() == "GET");
  CHECK(f.stats().downstream_pre_cx_active.value() == 0);

  tls.sni = "b.example";
  StreamOwner stranger((*transport::make_tls_connector(tls, {}))->connect(f.driver.loop(), f.address));
  REQUIRE(f.driver.run_until([&] { return stranger.connect_failed; }));
  CHECK(f.stats().no_filter_chain_match.value() == 1);
}

TEST_CASE("a TLS chain is handed over after its handshake, and bytes behind it are not lost") {
  TestCertificate certificate("server", "DNS:a.example", nullptr, KeyKind::kEcdsa);
  transport::ServerTlsConfig server;
  server.certificates.push_back({{"", certificate.pem()}, {"", certificate.key_pem()}, {}, {}, {}});
  server.alpn = {"h2"};
  for (bool inspect : {false, true}) {
    Fixture f;
    f.listener->inspect_tls = inspect;
    auto& chain = f.add_chain("tls");
    chain.tls = *transport::make_server_tls(server);
    f.start();
    transport::ClientTlsConfig tls;
    tls.alpn = {"h2"};
    auto connector = *transport::make_tls_connector(tls, {});
    StreamOwner client(connector->connect(f.driver.loop(), f.address));
    client.to_send.append("right behind");
    REQUIRE(f.handed_over(1));
    CHECK(f.tcp.connections[0]->owner.stream->alpn() == "h2");
    REQUIRE(f.driver.run_until([&] { return f.tcp.connections[0]->owner.received.size() == 12; }));
    CHECK(f.stats().ssl_handshake.value() == 1);
    auto plain = f.connect();
    plain->send("GET / HTTP/1.1\r\n\r\n");
    REQUIRE(f.driver.run_until([&] { return plain->ended || plain->failed; }));
    CHECK(f.stats().ssl_connection_error.value() == 1);
    CHECK(f.stats().downstream_cx_active.value() == 1);
  }
}

TEST_CASE("the PROXY protocol restores addresses; without its header a connection is refused") {
  Fixture f;
  f.listener->proxy_protocol = true;
  f.add_chain("only");
  f.start();
  auto client = f.connect();
  client->send("PROXY TCP4 192.0.2.1 198.51.100.7 4000 443\r\nhello");
  REQUIRE(f.handed_over(1));
  const transport::ConnectionInfo& info = f.tcp.connections[0]->owner.stream->info();
  CHECK(info.remote.to_string() == "192.0.2.1:4000");
  CHECK(info.local.to_string() == "198.51.100.7:443");
  CHECK(info.direct_remote.is_loopback());
  CHECK(f.tcp.connections[0]->owner.received.to_string() == "hello");
  auto liar = f.connect();
  liar->send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(f.driver.run_until([&] { return liar->failed || liar->ended; }));
  CHECK(f.stats().downstream_listener_filter_error.value() == 1);
  CHECK(f.tcp.connections.size() == 1);
}

TEST_CASE("a client that says nothing is not waited for beyond the deadline") {
  Fixture f;
  f.listener->inspect_tls = true;
  f.listener->listener_filters_timeout_ms = 20;
  f.add_chain("only");
  f.start();
  auto silent = f.connect();
  REQUIRE(f.driver.run_until([&] { return silent->ended || silent->failed; }));
  CHECK(f.stats().downstream_pre_cx_timeout.value() == 1);
  f.listener->continue_on_listener_filters_timeout = true;
  auto second = f.connect();
  REQUIRE(f.handed_over(1));

  Fixture tls;
  TestCertificate certificate("server", "DNS:a.example", nullptr, KeyKind::kEcdsa);
  transport::ServerTlsConfig server;
  server.certificates.push_back({{"", certificate.pem()}, {"", certificate.key_pem()}, {}, {}, {}});
  auto& chain = tls.add_chain("tls");
  chain.tls = *transport::make_server_tls(server);
  chain.transport_connect_timeout_ms = 20;
  tls.start();
  auto third = tls.connect();
  REQUIRE(tls.driver.run_until([&] { return third->ended || third->failed; }));
  CHECK(tls.stats().downstream_cx_transport_socket_connect_timeout.value() == 1);
}

// Bytes of HTTP have a chain of their own; a client that says nothing is waited for, but not for ever.
struct DetectingFixture : Fixture {
  DetectingFixture() {
    listener->inspect_http = true;
    listener->continue_on_listener_filters_timeout = true;
    add_chain("http").match.application_protocols = {"http/1.1"};
    add_chain("rest");
    start();
  }
};

TEST_CASE("a server that speaks first is connected to while its client is silent, and decides when it speaks") {
  DetectingFixture f;
  auto silent = f.connect();
  REQUIRE(f.driver.run_until([&] { return f.tcp.begun == 1; }));
  CHECK(f.tcp.early_chain == "rest");
  CHECK(f.tcp.connections.empty());
  f.driver.loop().post([&] { f.tcp.upstream_speaks(); });
  REQUIRE(f.handed_over(1));
  CHECK(f.tcp.connections[0]->chain == "rest");
  CHECK(f.tcp.with_upstream == 1);
  CHECK(f.stats().downstream_pre_cx_timeout.value() == 0);
}

TEST_CASE("what was begun for a silent client goes with it, or is given up when the client turns out to be another's") {
  DetectingFixture f;
  auto slow = f.connect();
  REQUIRE(f.driver.run_until([&] { return f.tcp.begun == 1; }));
  slow->send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(f.handed_over(1));
  CHECK(f.tcp.connections[0]->chain == "http");
  CHECK(f.tcp.with_upstream == 0);
  CHECK(f.tcp.ended == 1);

  auto other = f.connect();
  REQUIRE(f.driver.run_until([&] { return f.tcp.begun == 2; }));
  other->send("\x01\x02");
  REQUIRE(f.handed_over(2));
  CHECK(f.tcp.connections[1]->chain == "rest");
  CHECK(f.tcp.with_upstream == 1);

  auto gone = f.connect();
  REQUIRE(f.driver.run_until([&] { return f.tcp.begun == 3; }));
  gone.reset();
  REQUIRE(f.driver.run_until([&] { return f.tcp.ended == 3; }));
  CHECK(f.tcp.connections.size() == 2);
}

TEST_CASE("on ports that a filter leaves alone nobody is waited for") {
  DetectingFixture f;
  auto all = std::make_shared<snapshot::PortSet>();
  all->set();
  f.listener->http_uninspected_ports = all;
  auto silent = f.connect();
  REQUIRE(f.handed_over(1));
  CHECK(f.tcp.connections[0]->chain == "rest");
  CHECK(f.tcp.begun == 0);
}

TEST_CASE("a listener is found by its address, or else by the port on all addresses of the family") {
  Fixture f;
  f.add_chain("only");
  Directory directory;
  const auto unbound = [&](std::vector<Address> addresses) {
    auto listener = std::make_shared<snapshot::Listener>(*f.listener);
    listener->addresses = std::move(addresses);
    return std::make_unique<Acceptor>(f.driver.loop(), 0, *make_shared_listener(listener, f.global),
                                      std::vector<ListenSocket>(), Acceptor::Handlers{f.http, f.tcp}, &directory);
  };
  auto one = unbound({Address::parse_ip("10.0.0.1", 80), Address::parse_ip("fd00::1", 80)});
  auto any = unbound({Address::parse_ip("0.0.0.0", 80)});
  CHECK(directory.find(Address::parse_ip("10.0.0.1", 80)) == one.get());
  CHECK(directory.find(Address::parse_ip("fd00::1", 80)) == one.get());
  CHECK(directory.find(Address::parse_ip("10.0.0.2", 80)) == any.get());
  CHECK(directory.find(Address::parse_ip("fd00::2", 80)) == nullptr);
  CHECK(directory.find(Address::parse_ip("10.0.0.1", 81)) == nullptr);
  // The next version of a listener takes the place before the one before it goes.
  auto next = unbound({Address::parse_ip("10.0.0.1", 80)});
  one->stop();
  CHECK(directory.find(Address::parse_ip("10.0.0.1", 80)) == next.get());
  CHECK(directory.find(Address::parse_ip("fd00::1", 80)) == nullptr);
  next.reset();
  any.reset();
  CHECK(directory.find(Address::parse_ip("10.0.0.1", 80)) == nullptr);
}

TEST_CASE("out of descriptors: what is open is served, and accepting goes on when there are some again") {
  Fixture f;
  f.add_chain("only");
  f.start();
  auto open = f.connect();
  REQUIRE(f.handed_over(1));
  auto waiting = f.connect();
  // All descriptors up to the limit are taken; the limit is lowered so that this is quick.
  struct rlimit before;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  struct rlimit few = before;
  few.rlim_cur = 256;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  std::vector<int> taken;
  for (int fd; (fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0;) taken.push_back(fd);
  open->send("served");
  bool served = f.driver.run_until([&] { return f.tcp.connections[0]->owner.received.size() == 6; });
  size_t handed = f.tcp.connections.size();
  for (int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(served);
  CHECK(handed == 1);
  REQUIRE(f.handed_over(2));
}

TEST_CASE("a stopped acceptor refuses; its sockets may live on in another one") {
  Fixture f;
  f.add_chain("old");
  f.start();
  auto kept = f.connect();
  REQUIRE(f.handed_over(1));
  f.acceptor->stop();
  auto replaced = std::make_shared<snapshot::Listener>(*f.listener);
  replaced->filter_chains.clear();
  auto chain = std::make_shared<snapshot::FilterChain>(*f.listener->filter_chains[0]);
  chain->name = "new";
  replaced->filter_chains.push_back(chain);
  auto shared = make_shared_listener(replaced, f.global);
  REQUIRE(shared.ok());
  f.acceptor = std::make_unique<Acceptor>(f.driver.loop(), 0, *shared, std::vector{f.listening->socket(0)},
                                          Acceptor::Handlers{f.http, f.tcp});
  auto later = f.connect();
  REQUIRE(f.handed_over(2));
  CHECK(f.tcp.connections[1]->chain == "new");
  kept->send("still served");
  REQUIRE(f.driver.run_until([&] { return f.tcp.connections[0]->owner.received.size() == 12; }));
  f.acceptor->stop();
  f.listening.reset();
  auto refused = f.connect();
  REQUIRE(f.driver.run_until([&] { return refused->connect_failed; }));
}

}  // namespace weft::listener
