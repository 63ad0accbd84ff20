#include "tests/proxy/pool/fixture.h"

namespace weft::pool {
namespace {

struct TcpOwner final : TcpWaiter, transport::ByteStream::Events {
  void on_tcp_ready(std::unique_ptr<transport::ByteStream> given, cluster::Host&) override {
    stream = std::move(given);
    stream->attach(*this);
  }
  void on_tcp_failed(http::Cause, std::string_view) override {}
  void on_connected() override {}
  void on_readable() override {}
  void on_writable() override {}
  void on_connect_failed() override {}
  std::unique_ptr<transport::ByteStream> stream;
};

TEST_CASE("a raw connection passes on what its owner asks, and gives its places back") {
  TcpOwner owner;
  Fixture fixture;
  fixture.pools->acquire_tcp(fixture.hosts[0], owner);
  fixture.accept(0);
  REQUIRE(owner.stream != nullptr);
  CHECK(fixture.hosts[0]->active_connections == 1);
  owner.stream->read_later();
  CHECK(fixture.wire(0).read_later_calls == 1);
  using Failure = transport::ByteStream::TlsFailure;
  CHECK(owner.stream->tls_failure() == Failure::kNone);
  fixture.wire(0).tls_failure = Failure::kVerify;
  CHECK(owner.stream->tls_failure() == Failure::kVerify);
  owner.stream.reset();
  CHECK(fixture.hosts[0]->active_connections == 0);
  CHECK(fixture.stats().upstream_cx_destroy.value() == 1);
}

}  // namespace
}  // namespace weft::pool
