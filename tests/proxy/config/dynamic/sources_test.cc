#include "proxy/config/dynamic/sources.h"

#include <catch2/catch.hpp>

namespace weft::config {
namespace {

// Wants something else of another type with each update.
struct Wanting final : Intake {
  std::vector<xds::Refusal> on_update(const std::string&, xds::Type, const xds::Update&) override {
    on_taken();
    return {};
  }
  void on_fetch_timeout(const std::string&, xds::Type, const std::vector<std::string>&) override {}
  std::function<void()> on_taken;
};

struct Kept {
  std::vector<std::string> names;
  int asked = 0;
  xds::Consumer* consumer = nullptr;
};

struct KeptSource final : xds::Source {
  explicit KeptSource(Kept& kept) : kept(kept) {}
  ~KeptSource() override { kept.consumer = nullptr; }
  void subscribe(xds::Type, std::vector<std::string> names) override {
    kept.names = std::move(names);
    ++kept.asked;
  }
  bool connected() const override { return true; }
  Kept& kept;
};

struct SourcesFixture {
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  Wanting intake;
  std::map<xds::Type, Kept> kept;
  Sources sources{loop, intake, [this](const std::string&, xds::Type type, xds::Consumer& consumer) {
                    kept[type].consumer = &consumer;
                    return std::make_unique<KeptSource>(kept[type]);
                  }};
};

}  // namespace

TEST_CASE("what an update makes wanted is asked for when it has been taken, all together") {
  SourcesFixture f;
  f.sources.want_all("s", xds::Type::kCluster);
  f.loop.advance_ms(1);
  f.intake.on_taken = [&] {
    f.sources.want("s", xds::Type::kEndpoints, "b");
    f.sources.want("s", xds::Type::kEndpoints, "a");
  };
  f.kept[xds::Type::kCluster].consumer->on_update(xds::Type::kCluster, {});
  CHECK(f.kept[xds::Type::kEndpoints].names == std::vector<std::string>{"a", "b"});
  f.loop.advance_ms(1);
  CHECK(f.kept[xds::Type::kEndpoints].asked == 1);
}

TEST_CASE("a source of which an update leaves nothing wanted ends with the turn, not within the update") {
  SourcesFixture f;
  f.sources.want("s", xds::Type::kEndpoints, "a");
  f.loop.advance_ms(1);
  f.intake.on_taken = [&] { f.sources.unwant("s", xds::Type::kEndpoints, "a"); };
  f.kept[xds::Type::kEndpoints].consumer->on_update(xds::Type::kEndpoints, {});
  CHECK(f.kept[xds::Type::kEndpoints].consumer != nullptr);
  f.loop.advance_ms(1);
  CHECK(f.kept[xds::Type::kEndpoints].consumer == nullptr);
  CHECK_FALSE(f.sources.any());
}

}  // namespace weft::config
