#include "control-plane/ca/authority.h"

#include <sys/stat.h>

#include <fstream>

#include "control-plane/ca/files.h"
#include "control-plane/ca/origin.h"
#include "tests/control-plane/ca/authority_fixture.h"

namespace weft::control::ca {
namespace {

std::string message_of(const absl::Status& status) { return std::string(status.message()); }

int mode_of(const std::string& path) {
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

TEST_CASE("the authority is made once, and its keys are their owner's alone") {
  AuthorityFixture f;
  const std::string roots = f.authority->roots_pem();
  for (const char* key : {"root.key", "intermediate.key"}) CHECK(mode_of(f.folder.path + "/ca/1/" + key) == 0600);
  CHECK(mode_of(f.folder.path + "/ca/1") == 0700);
  const Authority::Signed signed_ = f.sign();
  f.open();
  CHECK(f.authority->roots_pem() == roots);
  CHECK(f.verify(signed_).ok());
  for (const char* key : {"root.key", "intermediate.key"}) {
    const std::string path = f.folder.path + "/ca/1/" + key;
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    const absl::Status refused = f.try_open();
    CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(message_of(refused), Catch::Contains(std::string(key) + ": others than its owner may use") &&
                                        Catch::Contains("mode is 0640") && Catch::Contains("chmod 600 " + path));
    REQUIRE(chmod(path.c_str(), 0600) == 0);
  }
}

TEST_CASE("a certificate names its workload, hangs from the root and is valid on clocks that are late") {
  AuthorityFixture f;
  const Authority::Signed made = f.sign();
  CHECK(made.spiffe_id == "spiffe://cluster.local/ns/shop/sa/cart");
  CHECK(made.chain_der.size() == 2);
  CHECK(made.not_before_ms == (f.clock.wall_ms() - Authority::kSkewMs) / 1000 * 1000);
  CHECK(made.not_after_ms == f.clock.wall_ms() + kDayMs);
  const auto peer = f.verify(made);
  REQUIRE(peer.ok());
  CHECK(peer->identity == Identity{"shop", "cart"});
  CHECK(peer->origin == "token 1");
  CHECK(peer->not_after_ms == made.not_after_ms);
  const auto log = f.authority->issued("", 10);
  REQUIRE(log.ok());
  REQUIRE(log->size() == 1);
  CHECK(log->front().serial == peer->serial);
  CHECK(log->front().spiffe_id == made.spiffe_id);
  CHECK(log->front().node == "one");
  CHECK(f.authority->counts().issued == 1);
}

TEST_CASE("renewals are spread between half and two thirds of a certificate's life") {
  AuthorityFixture f;
  const int64_t now_ms = f.clock.wall_ms();
  CHECK(f.sign().renew_at_ms == now_ms + 12 * kHourMs);
  f.chance = 128;
  CHECK(f.sign().renew_at_ms == now_ms + 14 * kHourMs);
  f.chance = 255;
  const int64_t latest = f.sign().renew_at_ms;
  CHECK(latest > now_ms + 15 * kHourMs);
  CHECK(latest < now_ms + 16 * kHourMs);
}

TEST_CASE("a certificate that has ended, is another mesh's or names nobody of this one is refused") {
  AuthorityFixture f;
  const Authority::Signed made = f.sign();
  AuthorityFixture other;
  CHECK_THAT(message_of(other.verify(made).status()), Catch::Contains("unable to get local issuer certificate"));
  f.clock.advance_ms(kDayMs + 1000);
  const auto ended = f.verify(made);
  CHECK(ended.status().code() == absl::StatusCode::kUnauthenticated);
  CHECK_THAT(message_of(ended.status()), Catch::Contains("expired"));
  CHECK_FALSE(f.authority->verify("", "").ok());
  CHECK_FALSE(f.authority->verify("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "").ok());
  CHECK_THAT(message_of(f.authority->verify(std::string(100'000, 'a'), "").status()), Catch::Contains("too long"));
  // The authority's own certificates are nobody's.
  const auto roots = f.authority->verify(f.authority->roots_pem(), "");
  CHECK_THAT(message_of(roots.status()), Catch::Contains("is not one of this mesh"));
  // As before, but for another trust domain.
  const Authority::Signed fresh = f.sign();
  f.options.trust_domain = "other.example";
  f.open();
  CHECK_THAT(message_of(f.verify(fresh).status()), Catch::Contains("expected spiffe://other.example/ns/"));
}

TEST_CASE("an intermediate is renewed by its root in its second half, and what the old one signed stays good") {
  AuthorityFixture f;
  f.options.ttl_ms = Authority::kMaxTtlMs;
  f.open();
  const Authority::Signed before = f.sign();
  f.clock.advance_ms(150 * kDayMs);
  const Authority::Signed last = f.sign();
  CHECK(before.chain_der[1] == last.chain_der[1]);
  f.clock.advance_ms(40 * kDayMs);
  const Authority::Signed after = f.sign();
  CHECK(after.chain_der[1] != last.chain_der[1]);
  CHECK(after.not_after_ms == f.clock.wall_ms() + Authority::kMaxTtlMs);
  CHECK(f.verify(last).ok());
  CHECK(f.verify(after).ok());
  CHECK(f.root_count() == 1);
  f.open();
  CHECK(f.sign().chain_der[1] == after.chain_der[1]);
}

TEST_CASE("nothing outlives what it hangs from, and nothing is signed below a root that has ended") {
  AuthorityFixture f;
  // The intermediate is renewed on the way.
  for (int year = 0; year < 9; ++year) {
    f.clock.advance_ms(365 * kDayMs);
    f.sign();
  }
  f.clock.advance_ms(364 * kDayMs + 12 * kHourMs);
  const Authority::Signed last = f.sign();
  CHECK(last.not_after_ms <= f.clock.wall_ms() + kDayMs);
  CHECK(f.verify(last).ok());
  f.clock.advance_ms(2 * kDayMs);
  const auto key = make_key();
  const auto refused = f.authority->sign({.identity = {"shop", "cart"}}, **key);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(message_of(refused.status()), Catch::Contains("weftctl ca rotate"));
}

TEST_CASE("a root is replaced in three steps, each of which outlives a restart, and none out of order") {
  AuthorityFixture f;
  const Authority::Signed old = f.sign();
  CHECK(f.authority->switch_signing().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(f.authority->finish_rotation().code() == absl::StatusCode::kFailedPrecondition);
  std::string told;
  f.authority->set_on_roots([&told](const std::string& roots) { told = roots; });

  REQUIRE(f.authority->begin_rotation().ok());
  CHECK(told == f.authority->roots_pem());
  CHECK(f.authority->begin_rotation().code() == absl::StatusCode::kFailedPrecondition);
  f.open();
  CHECK(f.root_count() == 2);
  CHECK(f.sign().chain_der[1] == old.chain_der[1]);

  REQUIRE(f.authority->switch_signing().ok());
  CHECK(f.authority->switch_signing().code() == absl::StatusCode::kFailedPrecondition);
  f.open();
  const Authority::Signed fresh = f.sign();
  CHECK(fresh.chain_der[1] != old.chain_der[1]);
  CHECK(f.verify(old).ok());
  CHECK(f.verify(fresh).ok());
  const auto standing = f.authority->standing();
  REQUIRE(standing.ok());
  REQUIRE(standing->generations.size() == 2);
  CHECK(standing->generations[0].record.stage == Stage::kRetiring);
  CHECK(standing->generations[0].live_certificates == 2);
  CHECK(standing->generations[0].record.last_not_after_ms == old.not_after_ms);
  CHECK(standing->generations[1].record.stage == Stage::kSigning);
  CHECK(standing->generations[1].live_certificates == 1);

  REQUIRE(f.authority->finish_rotation().ok());
  f.open();
  CHECK(f.root_count() == 1);
  CHECK_FALSE(f.verify(old).ok());
  CHECK(f.verify(fresh).ok());
  CHECK_FALSE(std::filesystem::exists(f.folder.path + "/ca/1"));
  CHECK(std::filesystem::exists(f.folder.path + "/ca/2"));

  // What was dropped and could not be removed then, as when the process was killed between, goes at the next start.
  REQUIRE(make_generation(f.folder.path + "/ca/1", "cluster.local", f.clock.wall_ms()).ok());
  f.open();
  CHECK_FALSE(std::filesystem::exists(f.folder.path + "/ca/1"));
  CHECK(f.verify(fresh).ok());
}

// A root of one's own, in files, with an intermediate below it.
struct Given {
  Given(const std::string& folder, int64_t now_ms) : path(folder) {
    REQUIRE(make_generation(path, "given.example", now_ms).ok());
  }
  std::string path;
};

TEST_CASE("a signing certificate that is given signs, by an intermediate or a root, and its files are checked") {
  AuthorityFixture f;
  const Given given(f.folder.path + "/given", f.clock.wall_ms());
  const Given stranger(f.folder.path + "/stranger", f.clock.wall_ms());
  f.options.certificate_path = given.path + "/intermediate.crt";
  f.options.key_path = given.path + "/intermediate.key";
  CHECK_THAT(message_of(f.try_open()), Catch::Contains("does not end with a root") && Catch::Contains("--ca-root"));
  f.options.root_path = stranger.path + "/root.crt";
  CHECK_THAT(message_of(f.try_open()), Catch::Contains("does not hang from the root in " + f.options.root_path));
  f.options.root_path = given.path + "/root.crt";
  f.open();
  CHECK(f.sign().chain_der.size() == 2);
  CHECK(f.verify(f.sign()).ok());
  CHECK(f.authority->roots_pem() == *read_file(given.path + "/root.crt"));
  CHECK_THAT(message_of(f.authority->begin_rotation()), Catch::Contains("by --ca-cert " + f.options.certificate_path));
  CHECK(f.authority->standing()->is_given);

  // Two roots, for an overlap.
  const std::string both = f.folder.path + "/both.crt";
  REQUIRE(
      write_private_file(both, *read_file(stranger.path + "/root.crt") + *read_file(given.path + "/root.crt")).ok());
  f.options.root_path = both;
  f.open();
  CHECK(f.root_count() == 2);
  CHECK(f.verify(f.sign()).ok());

  // The root itself signs.
  f.options.root_path = "";
  f.options.certificate_path = given.path + "/root.crt";
  CHECK_THAT(message_of(f.try_open()), Catch::Contains("intermediate.key: is not the key of "));
  f.options.key_path = given.path + "/root.key";
  f.open();
  CHECK(f.sign().chain_der.size() == 1);
  REQUIRE(chmod(f.options.key_path.c_str(), 0644) == 0);
  CHECK_THAT(message_of(f.try_open()), Catch::Contains("root.key: others than its owner may use"));

  // A workload's certificate signs nobody.
  f.options.certificate_path = f.options.key_path = "";
  f.open();
  const auto pair = f.authority->make_pair({.identity = {"shop", "cart"}});
  REQUIRE(pair.ok());
  f.options.certificate_path = f.folder.path + "/leaf.crt";
  f.options.key_path = f.folder.path + "/leaf.key";
  REQUIRE(write_private_file(f.options.certificate_path, pair->chain_pem).ok());
  REQUIRE(write_private_file(f.options.key_path, pair->key_pem).ok());
  CHECK_THAT(message_of(f.try_open()), Catch::Contains("may not sign others"));
}

TEST_CASE("the log keeps the newest, and finds them by name and node") {
  auto opened = AuthorityStore::open(":memory:", 4);
  REQUIRE(opened.ok());
  AuthorityStore& store = **opened;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(
        store
            .append(
                {.serial = std::to_string(i), .spiffe_id = i % 2 == 0 ? "even" : "odd", .node = "n", .not_after_ms = i})
            .ok());
  }
  const auto newest = store.list("", 3);
  REQUIRE(newest.ok());
  REQUIRE(newest->size() == 3);
  CHECK(newest->front().serial == "4");
  // The first of the five is forgotten.
  const auto all = store.list("", 10);
  REQUIRE(all->size() == 4);
  CHECK(all->back().serial == "1");
  CHECK(store.list("odd", 10)->size() == 2);
  CHECK(store.list("n", 10)->size() == 4);
  CHECK(store.list("nobody", 10)->empty());
  CHECK(*store.count_live(0, 2) == 2);
}

}  // namespace
}  // namespace weft::control::ca
