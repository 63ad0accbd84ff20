#include "proxy/transport/passing_identity.h"

#include <catch2/catch.hpp>

#include "proxy/event/loop.h"

namespace weft::transport {
namespace {

constexpr int64_t kLifeS = 60;

// Counts what it is asked for.
struct Counting final : Connector {
  std::unique_ptr<ByteStream> connect(event::Loop&, const Address&) override {
    ++connects;
    return nullptr;
  }
  std::vector<CertificateInfo> certificates() const override { return shown; }
  std::vector<CertificateInfo> shown;
  int connects = 0;
};

struct Fixture {
  Fixture() {
    CertificateInfo own, trusted;
    own.not_after_s = loop.wall_ns() / 1'000'000'000 + kLifeS;
    trusted.not_after_s = own.not_after_s + 1'000'000;
    trusted.is_ca = true;
    with->shown = {own, trusted};
    connector = make_passing_identity(with, without, withheld);
  }
  // "with" or "without".
  std::string connect() {
    int before = with->connects;
    connector->connect(loop, Address::parse_ip("127.0.0.1", 1));
    return with->connects != before ? "with" : "without";
  }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  std::shared_ptr<Counting> with = std::make_shared<Counting>();
  std::shared_ptr<Counting> without = std::make_shared<Counting>();
  std::shared_ptr<std::atomic<bool>> withheld = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<Connector> connector;
};

}  // namespace

TEST_CASE("a certificate is shown until it has expired") {
  Fixture f;
  CHECK(f.connect() == "with");
  f.loop.advance_ms(kLifeS * 1'000 - 1'000);
  CHECK(f.connect() == "with");
  f.loop.advance_ms(1'001);
  CHECK(f.connect() == "without");
}

TEST_CASE("a certificate that is withheld is not shown") {
  Fixture f;
  *f.withheld = true;
  CHECK(f.connect() == "without");
  *f.withheld = false;
  CHECK(f.connect() == "with");
}

}  // namespace weft::transport
