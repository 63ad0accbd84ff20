#include "proxy/config/identity/identity_client.h"

#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "tests/proxy/call/grpc_fixture.h"
#include "tests/proxy/transport/test_authority.h"
#include "weft/v1/identity.pb.h"

namespace weft::config::identity {
namespace {

constexpr int64_t kLifeS = 90;
constexpr char kCart[] = "URI:spiffe://cluster.local/ns/shop/sa/cart";

// A control plane that answers calls of Identity/Sign on the first wire, one stream after the other.
struct IdentityFixture : call::GrpcFixture {
  IdentityFixture() {
    IdentityClient::Options options;
    options.control_planes.push_back({cluster, {}});
    options.control_planes[0].call.metadata = {{"authorization", "Bearer join"}};
    options.node.set_id("n");
    options.withheld = withheld;
    options.take = [this](const std::string& secret) {
      taken.push_back(secret);
      return refuse;
    };
    options.reconnect = [this] { ++reconnects; };
    client = std::make_unique<IdentityClient>(worker, std::move(options));
  }
  ~IdentityFixture() {
    client.reset();
    loop.turn();
  }
  void turns() {
    for (int i = 0; i < 3; ++i) loop.turn();
  }
  void start() {
    client->start([this] { ++settled; });
    loop.advance_ms(1);
    turns();
    serve(0);
  }
  int64_t now_s() const { return loop.wall_ns() / 1'000'000'000; }
  // The request that stands on a stream.
  v1::SignRequest request(uint32_t stream) {
    std::vector<std::string> all = messages(0, stream);
    REQUIRE(all.size() == 1);
    v1::SignRequest result;
    REQUIRE(result.ParseFromString(all[0]));
    return result;
  }
  v1::SignResponse issued(uint32_t stream) {
    v1::SignResponse response;
    for (std::string& each : authority.issue(request(stream).csr(), kCart, now_s(), now_s() + kLifeS)) {
      response.add_chain(std::move(each));
    }
    response.set_spiffe_id("spiffe://cluster.local/ns/shop/sa/cart");
    response.mutable_renew_at()->set_seconds(now_s() + kLifeS / 2);
    return response;
  }
  void answer(uint32_t stream, const v1::SignResponse& response) {
    arrive(0, call::grpc_head(stream) + call::long_data(stream, call::grpc_frame(response.SerializeAsString())) +
                  call::trailers(stream, "0"));
    turns();
  }
  void refuse_call(uint32_t stream, const std::string& status) {
    arrive(0,
           call::head(stream,
                      "\x88" + call::header("content-type", "application/grpc") + call::header("grpc-status", status),
                      true));
    turns();
  }
  void pass_ms(int64_t ms) {
    loop.advance_ms(ms);
    turns();
  }
  int64_t metric(const std::string& name) {
    struct Find final : observe::MetricVisitor {
      void counter(std::string_view at, uint64_t value) override {
        if (at == name) found = static_cast<int64_t>(value);
      }
      void gauge(std::string_view at, int64_t value) override {
        if (at == name) found = value;
      }
      void histogram(std::string_view, const observe::Histogram::Summary&) override {}
      std::string name;
      int64_t found = -1;
    } find;
    find.name = name;
    client->family().visit(find);
    return find.found;
  }

  pool::WorkerContext worker = context();
  transport::testing::TestAuthority authority;
  std::shared_ptr<std::atomic<bool>> withheld = std::make_shared<std::atomic<bool>>(false);
  std::vector<std::string> taken;
  absl::Status refuse;
  int settled = 0, reconnects = 0;
  std::unique_ptr<IdentityClient> client;
};

}  // namespace

TEST_CASE("a key is made, certified and handed out with its certificate") {
  IdentityFixture f;
  f.start();
  CHECK(f.request(1).node().id() == "n");
  CHECK(f.settled == 0);
  CHECK_FALSE(f.client->certified());
  f.answer(1, f.issued(1));
  REQUIRE(f.taken.size() == 1);
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  REQUIRE(secret.ParseFromString(f.taken[0]));
  CHECK(secret.name() == "default");
  CHECK(secret.tls_certificate().private_key().inline_bytes().find("BEGIN PRIVATE KEY") != std::string::npos);
  CHECK(f.client->certified());
  CHECK(f.settled == 1);
  CHECK(f.metric("certificates_issued") == 1);
  CHECK(f.metric("seconds_until_expiry") >= kLifeS - 1);
}

TEST_CASE("a certificate is renewed in time, with another key, and calls need no token while there is one") {
  IdentityFixture f;
  f.start();
  xds::ControlPlane plane{f.cluster, {}, f.client.get()};
  plane.call.metadata = {{"authorization", "Bearer join"}, {"other", "stays"}};
  CHECK(xds::call_to(plane, "/p").metadata.size() == 2);
  f.answer(1, f.issued(1));
  auto metadata = xds::call_to(plane, "/p").metadata;
  REQUIRE(metadata.size() == 1);
  CHECK(metadata[0].first == "other");
  f.pass_ms(kLifeS * 500 + 1);
  CHECK(f.request(3).csr() != f.request(1).csr());
  f.answer(3, f.issued(3));
  CHECK(f.taken.size() == 2);
  CHECK(f.metric("certificates_issued") == 2);
}

TEST_CASE("when it cannot be renewed it is tried again, with an alarm before it expires; then the token counts") {
  IdentityFixture f;
  f.start();
  f.answer(1, f.issued(1));
  f.pass_ms(kLifeS * 500 + 1);
  f.refuse_call(3, "14");
  CHECK(f.metric("renewal_failures") == 1);
  CHECK(f.metric("alarm") == 0);
  CHECK(f.client->certified());
  uint32_t stream = 5;
  for (int64_t passed = 0; passed < kLifeS * 200; passed += 5'000, stream += 2) {
    f.pass_ms(5'000);
    f.refuse_call(stream, "7");
  }
  CHECK(f.metric("alarm") == 1);
  CHECK(f.metric("seconds_until_expiry") > 0);
  f.pass_ms(5'000);
  f.answer(stream, f.issued(stream));
  CHECK(f.metric("alarm") == 0);
  CHECK(f.client->certified());
  f.pass_ms(kLifeS * 1'000 + 1'000);
  CHECK_FALSE(f.client->certified());
}

TEST_CASE("the start waits for a certificate, but not for ever, and not after a clear no") {
  IdentityFixture slow;
  slow.start();
  slow.pass_ms(2'900);
  CHECK(slow.settled == 0);
  slow.pass_ms(200);
  CHECK(slow.settled == 1);
  slow.answer(1, slow.issued(1));
  CHECK(slow.taken.size() == 1);
  CHECK(slow.settled == 1);

  IdentityFixture refused;
  refused.start();
  refused.refuse_call(1, "12");
  CHECK(refused.settled == 1);
  CHECK(refused.taken.empty());
}

TEST_CASE("an answer that fits nothing is no certificate, and neither is one that is not taken") {
  IdentityFixture f;
  f.start();
  v1::SignResponse empty;
  f.answer(1, empty);
  CHECK(f.taken.empty());
  CHECK(f.metric("renewal_failures") == 1);
  f.pass_ms(1'000);
  f.refuse = absl::InvalidArgumentError("it fits no listener");
  f.answer(3, f.issued(3));
  CHECK(f.taken.size() == 1);
  CHECK_FALSE(f.client->certified());
}

TEST_CASE("a control plane that does not take the certificate is shown the token, and asked for another certificate") {
  IdentityFixture f;
  f.start();
  f.answer(1, f.issued(1));
  // It is away, be it ever so long.
  for (int i = 0; i < 10; ++i) f.client->failed(14);
  CHECK(f.client->certified());
  CHECK(f.reconnects == 0);
  f.client->failed(16);
  CHECK_FALSE(f.client->certified());
  CHECK(*f.withheld);
  CHECK(f.reconnects == 1);
  f.pass_ms(1);
  f.answer(3, f.issued(3));
  CHECK(f.client->certified());
  f.client->failed(16);
  CHECK_FALSE(f.client->certified());
  // Nor does it take the token: perhaps the certificate was right.
  f.client->failed(16);
  CHECK(f.client->certified());
}

TEST_CASE("a call that is not answered is given up") {
  IdentityFixture f;
  f.start();
  f.pass_ms(10'001);
  CHECK(f.was_reset(0, 1));
  CHECK(f.metric("renewal_failures") == 1);
  f.pass_ms(1'000);
  f.answer(3, f.issued(3));
  CHECK(f.client->certified());
}

}  // namespace weft::config::identity
