#include "proxy/call/grpc_stream.h"

#include "proxy/codec/http2/http2.h"
#include "tests/proxy/call/grpc_fixture.h"

namespace weft::call {
namespace {

struct CallFixture : GrpcFixture, GrpcStream::Events {
  explicit CallFixture(uint32_t max_message_bytes = 1'000) {
    call.path = "/a.B/C";
    call.max_message_bytes = max_message_bytes;
  }
  ~CallFixture() {
    if (stream != nullptr && !ended) stream->cancel();
    loop.turn();
  }
  void start() {
    stream = GrpcStream::start(worker, cluster, call, *this);
    loop.turn();
  }
  // With a server that took the connection, and answered with `bytes`.
  void start_with(std::string_view bytes) {
    start();
    serve(0);
    arrive(0, bytes);
  }
  void on_grpc_open() override {
    opened = true;
    stream->send("first");
  }
  void on_grpc_message(std::string_view message) override {
    received.emplace_back(message);
    if (message == "cancel") {
      stream->cancel();
      stream = nullptr;
    }
  }
  void on_grpc_end(const GrpcEnd& how) override {
    REQUIRE_FALSE(ended);
    ended = true;
    end = how;
  }

  pool::WorkerContext worker = context();
  GrpcCall call;
  GrpcStream* stream = nullptr;
  std::vector<std::string> received;
  GrpcEnd end;
  bool opened = false, ended = false;
};

}  // namespace

TEST_CASE("a call sends its messages and hands on those of the server, until its trailers end it") {
  CallFixture f;
  f.start_with(grpc_head(1) + data(1, grpc_frame("answer") + grpc_frame("and more")));
  CHECK(f.opened);
  f.stream->send("second");
  f.loop.turn();
  CHECK(f.messages(0, 1) == std::vector<std::string>{"first", "second"});
  CHECK(f.received == std::vector<std::string>{"answer", "and more"});
  CHECK(f.cluster->breakers(cluster::Priority::kDefault).requests() == 1);
  f.arrive(0, trailers(1, "14", "going%20away%0A"));
  CHECK(f.end.status == 14);
  CHECK(f.end.reason == "10.0.0.1:1: the server ended the call with grpc-status 14: going away?");
  CHECK(f.cluster->breakers(cluster::Priority::kDefault).requests() == 0);
  CHECK(f.was_reset(0, 1));
}

TEST_CASE("a call names its path, the cluster or what it is told as authority, and its metadata") {
  auto head_of = [](const std::string& authority) {
    CallFixture f;
    f.call.authority = authority;
    f.call.metadata = {{"x-token", "secret"}};
    f.start();
    f.serve(0);
    codec::Limits limits;
    codec::ServerOwner owner;
    auto server = codec::http2::make_server_codec(limits, owner);
    base::Buffer sent;
    sent.append(f.wire(0).sent);
    server->feed(sent);
    std::string log = owner.exchanges.at(0)->log;
    bool trailers = owner.exchanges.at(0)->head.accepts_trailers;
    server->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kNone);
    server->deliver_closed();
    return log + (trailers ? "te: trailers" : "");
  };
  std::string rest = "/a.B/C [content-type=application/grpc] [user-agent=weft-proxy] [x-token=secret]\nte: trailers";
  CHECK(head_of("") == "POST c" + rest);
  CHECK(head_of("cp.example") == "POST cp.example" + rest);
}

TEST_CASE("hostile and broken servers end a call with a clear reason") {
  struct Case {
    std::string bytes, reason;
    int status;
  };
  std::string message = grpc_frame("m");
  const Case cases[] = {
      {head(1, "\x8d", true), "the server answered with HTTP status 404, expected 200", 12},
      {head(1, header(":status", "503")), "the server answered with HTTP status 503, expected 200", 14},
      {head(1, "\x88" + header("content-type", "text/html")),
       "the server's answer has content-type \"text/html\", expected application/grpc", 2},
      {head(1, "\x88" + header("grpc-status", "7") + header("grpc-message", "no"), true),
       "the server ended the call with grpc-status 7: no", 7},
      {grpc_head(1) + data(1, message, true), "the server ended the call without a grpc-status", 13},
      {grpc_head(1) + data(1, message.substr(0, 3), true), "the server ended the call in the middle of a message", 13},
      {grpc_head(1) + data(1, std::string("\0\0\0\x10\0", 5)), "a message of 4096 bytes came, the limit is 1000", 8},
      {grpc_head(1) + data(1, std::string("\1\0\0\0\1", 5)), "a compressed message came", 12},
      {grpc_head(1) + head(1, header("x", "y"), true), "the server's trailers have no grpc-status", 13},
      {grpc_head(1) + trailers(1, "7x"), "the server ended the call with grpc-status \"7x\", expected a number", 2},
      {grpc_head(1) + pool::frame(3, 0, 1, std::string("\0\0\0\x8", 4)), "The endpoint reset the stream.", 14},
  };
  for (const Case& each : cases) {
    INFO(each.reason);
    CallFixture f;
    f.start_with(each.bytes);
    REQUIRE(f.ended);
    CHECK(f.end.status == each.status);
    CHECK(f.end.reason.find("10.0.0.1:1: " + each.reason) == 0);
    CHECK(f.cluster->breakers(cluster::Priority::kDefault).requests() == 0);
  }
}

TEST_CASE("a call fails when its connection is refused, lost, or speaks HTTP/1; or there is nobody to call") {
  {
    CallFixture f;
    f.start();
    f.wire(0).refuse();
    f.loop.turn();
    CHECK(f.end.reason == "10.0.0.1:1: The endpoint refused the connection. (fake)");
    CHECK(f.end.status == 14);
  }
  {
    CallFixture f;
    f.start_with(grpc_head(1));
    f.wire(0).reset();
    f.loop.turn();
    CHECK(f.end.status == 14);
  }
  {
    CallFixture f;
    f.cluster->set_hosts({});
    f.start();
    CHECK(f.end.reason == "no endpoint of the cluster can be used");
  }
}

TEST_CASE("after cancel nothing comes, whenever it is called") {
  {
    CallFixture f;
    f.start();
    f.stream->cancel();
    f.stream = nullptr;
    f.loop.turn();
    f.accept(0);
    CHECK_FALSE(f.opened);
  }
  {
    CallFixture f;
    f.stream = GrpcStream::start(f.worker, f.cluster, f.call, f);
    f.stream->cancel();
    f.stream = nullptr;
    f.loop.turn();
    CHECK(f.wires() == 0);
  }
  {
    CallFixture f;
    f.start_with(grpc_head(1) + data(1, grpc_frame("cancel") + grpc_frame("lost")));
    CHECK(f.received == std::vector<std::string>{"cancel"});
    CHECK(f.was_reset(0, 1));
    CHECK_FALSE(f.ended);
  }
}

}  // namespace weft::call
