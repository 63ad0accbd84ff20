#include "proxy/transport/plain_stream.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "tests/proxy/transport/loop_driver.h"

namespace weft::transport {
namespace {

using testing::LoopDriver;
using testing::StreamOwner;

// A listener on a free port, one client connected to it, and the accepted side; `server` is not attached.
struct Pair {
  explicit Pair(Address at = Address::parse_ip("127.0.0.1", 0)) {
    auto listening = listen_on(at, {});
    REQUIRE(listening.ok());
    listener = std::move(*listening);
    address = local_address(listener.get());
    client.own(make_plain_connector({})->connect(driver.loop(), address));
    REQUIRE(driver.run_until([&] { return client.was_connected && accept(); }));
  }
  bool accept() {
    Address peer;
    int error = 0;
    Descriptor fd = accept_connection(listener.get(), &peer, &error);
    if (!fd.open()) return false;
    accepted = std::make_unique<PlainStream>(driver.loop(), std::move(fd), peer, Address());
    return true;
  }
  LoopDriver driver;
  Descriptor listener;
  Address address;
  StreamOwner client;
  StreamOwner server;
  std::unique_ptr<PlainStream> accepted;
};

}  // namespace

TEST_CASE("addresses print and parse") {
  CHECK(Address::parse_ip("10.1.2.3", 80).to_string() == "10.1.2.3:80");
  CHECK(Address::parse_ip("2001:db8::1", 443).to_string() == "[2001:db8::1]:443");
  CHECK(Address::parse_ip("fe80::1%1", 1).ip_text().starts_with("fe80::1%"));
  CHECK(Address::parse_ip("example.com", 1).family == Address::Family::kNone);
  CHECK(Address::parse_ip("1.2.3", 1).family == Address::Family::kNone);
  CHECK(Address::parse_ip("::1%999999999999", 1).family == Address::Family::kNone);
  CHECK(Address::unix_path("/run/a.sock").to_string() == "/run/a.sock");
  CHECK(Address::parse_ip("127.9.9.9", 0).is_loopback());
  CHECK(Address::parse_ip("::1", 0).is_loopback());
  CHECK(Address::parse_ip("::ffff:127.0.0.1", 0).is_loopback());
  CHECK_FALSE(Address::parse_ip("::2", 0).is_loopback());
  CHECK_FALSE(Address::parse_ip("1.2.3.4", 5) == Address::parse_ip("1.2.3.4", 6));
}

TEST_CASE("bytes go both ways and both ends know their addresses") {
  Pair pair;
  pair.server.own(std::move(pair.accepted));
  CHECK(pair.server.stream->info().local == pair.address);
  CHECK(pair.server.stream->info().remote == pair.client.stream->info().local);
  pair.client.send("hello");
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() == 5; }));
  pair.server.send("world!");
  REQUIRE(pair.driver.run_until([&] { return pair.client.received.size() == 6; }));
  CHECK(pair.client.received.to_string() == "world!");
  CHECK(pair.client.stream->sent_bytes() == 5);
  CHECK(pair.client.stream->received_bytes() == 6);
}

TEST_CASE("a message that is there costs one read, after the first, which looks for a reset behind it") {
  Pair pair;
  pair.client.send("request");
  pair.server.own(std::move(pair.accepted));
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() == 7; }));
  CHECK(pair.server.reads == 2);
  pair.client.send("another");
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() == 14; }));
  CHECK(pair.server.reads == 3);
}

TEST_CASE("an end that came together with the last bytes is told, though only one edge came") {
  Pair pair;
  pair.client.send("last words");
  pair.client.stream->shutdown_write();
  pair.server.own(std::move(pair.accepted));
  REQUIRE(pair.driver.run_until([&] { return pair.server.ended; }));
  CHECK(pair.server.received.to_string() == "last words");
  pair.server.send("still heard");
  REQUIRE(pair.driver.run_until([&] { return pair.client.received.size() == 11; }));
}

TEST_CASE("a stream that is attached to another owner tells it of what the first one left") {
  Pair pair;
  StreamOwner first;
  first.paused = true;
  first.own(std::move(pair.accepted));
  pair.client.send("for the second");
  auto* plain = static_cast<PlainStream*>(first.stream.get());
  base::Buffer one;
  REQUIRE(pair.driver.run_until([&] { return plain->read(one, 1).bytes == 1; }));
  pair.server.own(std::move(first.stream));
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() == 13; }));
}

TEST_CASE("a reset is an error to the peer, not an end") {
  Pair pair;
  pair.server.own(std::move(pair.accepted));
  pair.server.stream->close(ByteStream::CloseKind::kReset);
  REQUIRE(pair.driver.run_until([&] { return pair.client.failed; }));
  CHECK_FALSE(pair.client.ended);
  CHECK(pair.client.stream->error_kind() == ByteStream::ErrorKind::kReset);
  CHECK(pair.client.stream->error() == "connection reset by peer");
}

TEST_CASE("writing to a peer that does not read stops, and goes on when it reads") {
  Pair pair;
  pair.server.paused = true;
  pair.server.own(std::move(pair.accepted));
  std::string big(16 << 20, 'x');
  pair.client.send(big);
  REQUIRE_FALSE(pair.client.to_send.empty());
  pair.server.paused = false;
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() > 0; }));
  REQUIRE(pair.driver.run_until([&] { return pair.server.received.size() == big.size(); }));
  CHECK(pair.client.to_send.empty());
  // Bulk is read in pieces of several blocks.
  CHECK(pair.server.reads < static_cast<int>(big.size() / base::Block::kDataBytes));
}

TEST_CASE("a refused connection is told later, with its reason") {
  LoopDriver driver;
  Address address;
  {
    auto listening = listen_on(Address::parse_ip("127.0.0.1", 0), {});
    REQUIRE(listening.ok());
    address = local_address(listening->get());
  }
  StreamOwner client(make_plain_connector({})->connect(driver.loop(), address));
  CHECK_FALSE(client.connect_failed);
  REQUIRE(driver.run_until([&] { return client.connect_failed; }));
  CHECK(client.stream->error_kind() == ByteStream::ErrorKind::kRefused);
  CHECK(client.stream->error() == "connection refused");
}

TEST_CASE("a connection that cannot even begin fails by event, too") {
  LoopDriver driver;
  StreamOwner client(make_plain_connector({})->connect(driver.loop(), Address::unix_path("/nonexistent/weft.sock")));
  CHECK_FALSE(client.connect_failed);
  REQUIRE(driver.run_until([&] { return client.connect_failed; }));
  CHECK(client.stream->error() == "no such socket file");
}

TEST_CASE("a source address and keepalive are set on client sockets") {
  LoopDriver driver;
  auto listening = listen_on(Address::parse_ip("127.0.0.1", 0), {});
  REQUIRE(listening.ok());
  SocketOptions options;
  options.source = Address::parse_ip("127.0.0.7", 0);
  options.keepalive = TcpKeepalive{3, 10, 5};
  StreamOwner client(make_plain_connector(options)->connect(driver.loop(), local_address(listening->get())));
  REQUIRE(driver.run_until([&] { return client.was_connected; }));
  CHECK(client.stream->info().local.ip_text() == "127.0.0.7");
}

TEST_CASE("Unix sockets: path, mode, abstract, and a stale file is taken over") {
  std::string directory = (std::filesystem::temp_directory_path() / "weft-XXXXXX").string();
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  Address at = Address::unix_path(directory + "/s.sock");
  ListenOptions options;
  options.unix_mode = 0600;
  REQUIRE(listen_on(at, options).ok());  // Closed at once; its file stays.
  REQUIRE(std::filesystem::exists(at.path));
  {
    auto listening = listen_on(at, options);
    REQUIRE(listening.ok());
    CHECK((std::filesystem::status(at.path).permissions() & std::filesystem::perms::mask) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    auto second = listen_on(at, options);
    CHECK_FALSE(second.ok());  // One that lives is not.
    CHECK(second.status().message().find(at.path) != absl::string_view::npos);
  }
  unlink_listener_path(at);
  CHECK_FALSE(std::filesystem::exists(at.path));
  {
    Pair pair(at);
    pair.server.own(std::move(pair.accepted));
    pair.client.send("x");
    CHECK(pair.driver.run_until([&] { return pair.server.received.size() == 1; }));
  }
  Pair abstract(Address::unix_path("@weft-test-" + std::to_string(getpid())));
  CHECK(abstract.address.path == "@weft-test-" + std::to_string(getpid()));
  std::filesystem::remove_all(directory);
}

TEST_CASE("an IPv6 socket takes IPv4 only when told to, and then knows the peer as IPv4") {
  ListenOptions options;
  options.ipv4_compat = true;
  auto both = listen_on(Address::parse_ip("::", 0), options);
  if (!both.ok()) return;  // A machine without IPv6.
  LoopDriver driver;
  uint16_t port = local_address(both->get()).port;
  StreamOwner client(make_plain_connector({})->connect(driver.loop(), Address::parse_ip("127.0.0.1", port)));
  REQUIRE(driver.run_until([&] { return client.was_connected; }));
  Address peer;
  int error = 0;
  REQUIRE(accept_connection(both->get(), &peer, &error).open());
  CHECK(peer.family == Address::Family::kIpv4);
}

TEST_CASE("a descriptor number that is used again in the same turn gets its events") {
  Pair pair;
  int number = pair.accepted->fd();
  pair.server.own(std::move(pair.accepted));
  StreamOwner second_client(make_plain_connector({})->connect(pair.driver.loop(), pair.address));
  REQUIRE(pair.driver.run_until([&] { return second_client.was_connected; }));
  pair.server.stream.reset();
  Address peer;
  int error = 0;
  Descriptor fd;
  REQUIRE(pair.driver.run_until([&] {
    fd = accept_connection(pair.listener.get(), &peer, &error);
    return fd.open();
  }));
  // Freed above and taken here; what the loop thinks of the old one must not hide the new one.
  CHECK(fd.get() == number);
  StreamOwner second_server(std::make_unique<PlainStream>(pair.driver.loop(), std::move(fd), peer, Address()));
  second_client.send("new");
  REQUIRE(pair.driver.run_until([&] { return second_server.received.size() == 3; }));
  int same = static_cast<PlainStream*>(second_server.stream.get())->fd();
  StreamOwner third_client(make_plain_connector({})->connect(pair.driver.loop(), pair.address));
  REQUIRE(pair.driver.run_until([&] { return third_client.was_connected; }));
  // Closed and opened within one turn, with no wait of the loop in between.
  second_server.stream.reset();
  fd = accept_connection(pair.listener.get(), &peer, &error);
  REQUIRE(fd.get() == same);
  StreamOwner third_server(std::make_unique<PlainStream>(pair.driver.loop(), std::move(fd), peer, Address()));
  third_client.send("newer");
  REQUIRE(pair.driver.run_until([&] { return third_server.received.size() == 5; }));
  third_client.stream->shutdown_write();
  REQUIRE(pair.driver.run_until([&] { return third_server.ended; }));
}

}  // namespace weft::transport
