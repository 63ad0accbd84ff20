#include "control-plane/ca/tokens.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace weft::control::ca {
namespace {

constexpr int64_t kHourMs = 3'600'000;
const Digest kFingerprint = sha256("certificate");

struct Fixture {
  explicit Fixture(const std::string& path = ":memory:") {
    auto store = TokenStore::open(path);
    REQUIRE(store.ok());
    const auto count = [this](uint8_t* out, size_t size) {
      for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(++bytes);
    };
    auto made = Tokens::create(*std::move(store), clock, count);
    REQUIRE(made.ok());
    tokens = *std::move(made);
  }

  std::string issue(const std::string& service = "", uint32_t uses = 0) {
    const auto text = tokens->issue({"shop", service, kHourMs, uses}, kFingerprint);
    REQUIRE(text.ok());
    return *text;
  }
  // Shows a token, as a node; what is said.
  absl::Status join(const std::string& text, const std::string& node, const std::string& service = "cart",
                    const std::string& namespace_name = "shop") {
    const auto id = tokens->authenticate("Bearer " + text);
    return id.ok() ? tokens->admit(*id, {namespace_name, service, node}) : id.status();
  }
  uint64_t refused(Refusal refusal) const { return tokens->refused()[static_cast<size_t>(refusal)]; }
  std::string id_of(const std::string& text) const { return text.substr(6, 16); }

  base::ManualClock clock;
  int bytes = 0;
  std::unique_ptr<Tokens> tokens;
};

TEST_CASE("a token lets nodes of its namespace in, and those of its service alone if it names one") {
  Fixture f;
  const std::string of_namespace = f.issue();
  CHECK(f.join(of_namespace, "one").ok());
  CHECK(f.join(of_namespace, "two", "").ok());
  const absl::Status foreign = f.join(of_namespace, "one", "cart", "other");
  CHECK(foreign.code() == absl::StatusCode::kPermissionDenied);
  CHECK_THAT(std::string(foreign.message()),
             Catch::Contains("is for the namespace shop, and node \"one\" says that it belongs to other"));
  const std::string of_service = f.issue("cart");
  CHECK(f.join(of_service, "one").ok());
  CHECK(f.join(of_service, "one", "pay").code() == absl::StatusCode::kPermissionDenied);
  CHECK(f.join(of_service, "one", "").code() == absl::StatusCode::kPermissionDenied);
  CHECK(f.refused(Refusal::kNamespace) == 1);
  CHECK(f.refused(Refusal::kService) == 2);
}

TEST_CASE("without a token that is known nobody is let in, and neither its text nor what is wrong with it is told") {
  Fixture f;
  const std::string text = f.issue();
  const auto refusal = [&](const std::string& header) {
    const absl::Status status = f.tokens->authenticate(header).status();
    CHECK(status.code() == absl::StatusCode::kUnauthenticated);
    CHECK(status.message().find(text.substr(23, 10)) == std::string::npos);
    return std::string(status.message());
  };
  CHECK_THAT(refusal(""), Catch::Contains("a join token is missing"));
  CHECK_THAT(refusal("Bearer "), Catch::Contains("a join token is missing"));
  CHECK_THAT(refusal("Basic " + text), Catch::Contains("a join token is missing"));
  CHECK_THAT(refusal("Bearer x"), Catch::Contains("this is no join token"));
  std::string wrong_secret = text;
  wrong_secret[30] = wrong_secret[30] == '0' ? '1' : '0';
  std::string wrong_id = text;
  wrong_id[8] = wrong_id[8] == '0' ? '1' : '0';
  CHECK(refusal("Bearer " + wrong_secret) == refusal("Bearer " + wrong_id));
  CHECK(f.refused(Refusal::kNoToken) == 3);
  CHECK(f.refused(Refusal::kNoSuchToken) == 3);
  CHECK(f.tokens->authenticate("bearer " + text).ok());
}

TEST_CASE("an expired token brings no new node, and lets those come back that came in by it") {
  Fixture f;
  const std::string text = f.issue();
  CHECK(f.join(text, "one").ok());
  f.clock.advance_ms(kHourMs);
  CHECK(f.join(text, "one").ok());
  const absl::Status late = f.join(text, "two");
  CHECK(late.code() == absl::StatusCode::kUnauthenticated);
  CHECK_THAT(std::string(late.message()), Catch::Contains("has expired at 2023-11-14 23:13:20 UTC"));
  CHECK(f.refused(Refusal::kExpired) == 1);
  CHECK(f.tokens->list()[0].state == "expired");
}

TEST_CASE("a token brings as many nodes as it says, however often they come back") {
  Fixture f;
  const std::string text = f.issue("", 2);
  for (int i = 0; i < 3; ++i) {
    CHECK(f.join(text, "one").ok());
    CHECK(f.join(text, "two").ok());
  }
  CHECK(f.join(text, "three").code() == absl::StatusCode::kPermissionDenied);
  CHECK(f.refused(Refusal::kUsedUp) == 1);
  CHECK(f.tokens->list()[0].state == "used up");
  CHECK(f.tokens->list()[0].nodes == 2);
}

TEST_CASE("a revoked token is good for nobody, and who has an open stream by it is told") {
  Fixture f;
  const std::string text = f.issue();
  const auto shown = f.tokens->authenticate("Bearer " + text);
  CHECK(f.join(text, "one").ok());
  std::vector<std::string> revoked;
  f.tokens->set_on_revoked([&](const std::string& id) { revoked.push_back(id); });
  CHECK(f.tokens->revoke("0000").code() == absl::StatusCode::kNotFound);
  REQUIRE(f.tokens->revoke(f.id_of(text)).ok());
  CHECK(revoked == std::vector<std::string>{f.id_of(text)});
  CHECK(f.join(text, "one").code() == absl::StatusCode::kUnauthenticated);
  // One that had shown it just before.
  CHECK(f.tokens->admit(*shown, {"shop", "cart", "one"}).code() == absl::StatusCode::kUnauthenticated);
  CHECK(f.refused(Refusal::kRevoked) == 2);
  CHECK(f.tokens->list()[0].state == "revoked");
}

TEST_CASE("a token that has been good for nothing for long is forgotten, on the disk too") {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/forgotten.db";
  std::string used;
  std::string shown;
  {
    Fixture f(path);
    used = f.issue();
    REQUIRE(f.join(used, "one").ok());
    const std::string revoked = f.issue();
    REQUIRE(f.join(revoked, "one").ok());
    f.clock.advance_ms(kHourMs);
    REQUIRE(f.tokens->revoke(f.id_of(revoked)).ok());
    const std::string unused = f.issue();
    shown = *f.tokens->authenticate("Bearer " + unused);
    f.clock.advance_ms(Tokens::kRememberedMs + kHourMs / 2);
    // The certificates that came of it have all ended by now.
    f.issue();
    CHECK_FALSE(f.tokens->is_revoked(f.id_of(revoked)));
    CHECK(f.join(revoked, "one").code() == absl::StatusCode::kUnauthenticated);
    CHECK(f.tokens->list().size() == 3);
    f.clock.advance_ms(kHourMs);
    const std::string newest = f.issue();
    CHECK(f.tokens->list().size() == 3);
    CHECK(f.tokens->admit(shown, {"shop", "cart", "two"}).code() == absl::StatusCode::kUnauthenticated);
    // A mesh outlives the time to live of its tokens.
    CHECK(f.join(used, "one").ok());
    CHECK(f.join(newest, "two").ok());
  }
  auto store = TokenStore::open(path);
  REQUIRE(store.ok());
  CHECK((*store)->load_tokens()->size() == 3);
  CHECK((*store)->load_nodes()->size() == 2);
  std::filesystem::remove(path);
}

TEST_CASE("what is asked of a token must make sense") {
  Fixture f;
  for (const Tokens::Request& request :
       {Tokens::Request{"", "", kHourMs, 0}, Tokens::Request{"Shop", "", kHourMs, 0},
        Tokens::Request{"shop", "a b", kHourMs, 0}, Tokens::Request{"shop", "", 0, 0},
        Tokens::Request{"shop", "", Tokens::kMaxTtlMs + 1, 0}, Tokens::Request{"shop", "", kHourMs, 100'000}}) {
    CHECK(f.tokens->issue(request, kFingerprint).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(f.tokens->list().empty());
}

TEST_CASE("tokens, who came in by them and what was revoked outlive a restart, and no secret is on the disk") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weft-tokens-" + std::to_string(getpid()));
  std::string good;
  std::string revoked;
  {
    Fixture before(path);
    good = before.issue("", 1);
    revoked = before.issue();
    CHECK(before.join(good, "one").ok());
    CHECK(before.tokens->revoke(before.id_of(revoked)).ok());
  }
  {
    Fixture after(path);
    CHECK(after.join(good, "one").ok());
    CHECK(after.join(good, "two").code() == absl::StatusCode::kPermissionDenied);
    CHECK(after.join(revoked, "one").code() == absl::StatusCode::kUnauthenticated);
  }
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(content.find(good.substr(23, 64)) == std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace weft::control::ca
