#include "control-plane/source/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source::sqlite {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = std::string(std::getenv("TEST_TMPDIR")) + "/storeXXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file() const { return path_ + "/weft.db"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Key key(const std::string& name) { return {Kind::kService, "shop", name}; }

Content service(const std::string& name, int port, size_t padding = 0) {
  auto out = std::make_shared<kubernetes::core::v1::Service>();
  out->set_kind("Service");
  out->mutable_metadata()->set_name(name);
  out->mutable_metadata()->set_namespace_("shop");
  if (padding > 0) (*out->mutable_metadata()->mutable_annotations())["padding"] = std::string(padding, 'x');
  out->mutable_spec()->add_ports()->set_port(port);
  return out;
}

int port_of(const Object& object) { return content_as<kubernetes::core::v1::Service>(object).spec().ports(0).port(); }

std::unique_ptr<SqliteStore> open(const std::string& path) {
  auto store = SqliteStore::open(path);
  INFO(store.status().message());
  REQUIRE(store.ok());
  return *std::move(store);
}

Write put(const std::string& name, int port, std::optional<Revision> expected = std::nullopt) {
  return {key(name), service(name, port), expected};
}

TEST_CASE("a commit is one revision, and what stores set is set") {
  auto store = open(":memory:");
  REQUIRE(store->commit({put("a", 1), put("b", 2)}, 1000, "test").value() == 1);
  REQUIRE(store->commit({put("a", 3)}, 2000, "test").value() == 2);
  const auto& metadata = metadata_of(*store->get(key("a"))->content);
  CHECK(metadata.generation() == 2);
  CHECK(metadata.resource_version() == "2");
  CHECK(metadata.creation_timestamp().seconds() == 1);
  CHECK(store->get(key("b"))->revision == 1);
  CHECK(store->get(key("c")).status().code() == absl::StatusCode::kNotFound);
  CHECK(store->list()->revision == 2);
  CHECK(store->list()->objects.size() == 2);
}

TEST_CASE("what changes nothing makes no revision") {
  auto store = open(":memory:");
  REQUIRE(store->commit({put("a", 1)}, 1000, "test").value() == 1);
  CHECK(store->commit({put("a", 1)}, 2000, "test").value() == 1);
  CHECK(store->commit({}, 2000, "test").value() == 1);
  CHECK(store->commit({put("a", 1), put("b", 1)}, 2000, "test").value() == 2);
  CHECK(store->get(key("a"))->revision == 1);
}

TEST_CASE("a commit on top of an older revision is refused as a whole") {
  auto store = open(":memory:");
  REQUIRE(store->commit({put("a", 1, 0)}, 1, "test").value() == 1);
  CHECK(store->commit({put("b", 1, 0), put("a", 2, 0)}, 2, "test").status().code() == absl::StatusCode::kAborted);
  CHECK(store->get(key("b")).status().code() == absl::StatusCode::kNotFound);
  CHECK(store->check({put("b", 1, 0), put("a", 2, 0)}).code() == absl::StatusCode::kAborted);
  CHECK(store->check({put("b", 1, 0), put("a", 2, 1)}).ok());
  CHECK(store->list()->revision == 1);
  CHECK(store->commit({put("a", 2, 7)}, 2, "test").status().message() ==
        "Service shop/a is not at revision 7 any more: it is at 1");
  CHECK(store->commit({put("c", 2, 7)}, 2, "test").status().message() ==
        "Service shop/c is not at revision 7 any more: it does not exist");
  CHECK(store->commit({put("a", 2, 1)}, 2, "test").value() == 2);
  CHECK(store->commit({{key("c"), nullptr, {}}}, 2, "test").status().code() == absl::StatusCode::kNotFound);
  CHECK(store->commit({put("a", 5), put("a", 6)}, 2, "test").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("every revision is kept, and told by history") {
  const Folder folder;
  {
    auto store = open(folder.file());
    REQUIRE(store->commit({put("a", 1), put("b", 1)}, 1000, "first").ok());
    REQUIRE(store->commit({put("a", 2)}, 2000, "second").ok());
    REQUIRE(store->commit({{key("a"), nullptr, 2}}, 3000, "third").ok());
    REQUIRE(store->commit({put("a", 4)}, 4000, "fourth").ok());
  }
  auto store = open(folder.file());
  CHECK(store->list()->revision == 4);
  CHECK(store->list_at(0)->objects.empty());
  REQUIRE(store->list_at(2)->objects.size() == 2);
  CHECK(port_of(store->list_at(2)->objects[0]) == 2);
  CHECK(store->list_at(3)->objects.size() == 1);
  CHECK(port_of(*store->get(key("a"))) == 4);
  CHECK(metadata_of(*store->get(key("a"))->content).generation() == 1);
  CHECK(store->list_at(5).status().code() == absl::StatusCode::kOutOfRange);

  const auto all = store->history({}, 3).value();
  REQUIRE(all.size() == 3);
  CHECK(all[0].author == "fourth");
  CHECK(all[0].time_ms == 4000);
  const auto of_b = store->history(key("b"), 10).value();
  REQUIRE(of_b.size() == 1);
  CHECK(of_b[0].keys == std::vector<Key>{key("a"), key("b")});
}

TEST_CASE("a watch gets what is past, then each commit, until it is dropped") {
  auto store = open(":memory:");
  REQUIRE(store->commit({put("a", 1)}, 1, "test").ok());
  REQUIRE(store->commit({put("a", 2), put("b", 2)}, 1, "test").ok());
  REQUIRE(store->commit({put("c", 3)}, 1, "test").ok());
  std::string seen;
  const auto note = [&seen](Revision revision, const std::vector<Change>& changes) {
    seen += std::to_string(revision) + ":";
    for (const Change& change : changes) seen += (change.content == nullptr ? "-" : "") + change.key.name;
    seen += " ";
  };
  auto watch = store->watch(1, note);
  REQUIRE(watch.ok());
  CHECK(seen == "2:ab 3:c ");
  REQUIRE(store->commit({{key("b"), nullptr, {}}}, 1, "test").ok());
  CHECK(seen == "2:ab 3:c 4:-b ");
  CHECK_FALSE(store->commit({put("b", 1, 9)}, 1, "test").ok());
  watch->reset();
  REQUIRE(store->commit({put("d", 1)}, 1, "test").ok());
  CHECK(seen == "2:ab 3:c 4:-b ");
  CHECK(store->watch(9, note).status().code() == absl::StatusCode::kOutOfRange);
}

TEST_CASE("a file that is no database, or of a newer version, is refused by name") {
  const Folder folder;
  std::ofstream(folder.file()) << std::string(8192, 'z');
  const auto garbage = SqliteStore::open(folder.file());
  CHECK(garbage.status().code() == absl::StatusCode::kDataLoss);
  CHECK(garbage.status().message().find("weft.db") != std::string::npos);
  const std::string other = folder.path() + "/other.db";
  REQUIRE(Database::open(other).value()->execute("PRAGMA user_version=99").ok());
  const auto newer = SqliteStore::open(other);
  CHECK(newer.status().code() == absl::StatusCode::kDataLoss);
  CHECK(newer.status().message().find("newer version") != std::string::npos);
  CHECK(SqliteStore::open(folder.path() + "/none/weft.db").status().code() == absl::StatusCode::kUnavailable);
}

// Both hold the same three commits.
constexpr char kFormat1[] = R"(
CREATE TABLE commits(revision INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, author TEXT NOT NULL);
CREATE TABLE changes(
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL REFERENCES commits(revision),
  content TEXT,
  PRIMARY KEY(kind, namespace, name, revision)) WITHOUT ROWID;
CREATE INDEX changes_by_revision ON changes(revision);
INSERT INTO commits VALUES(1, 10, 'ann'), (2, 20, 'bob'), (3, 30, 'ann');
INSERT INTO changes VALUES
  ('Service', 'shop', 'a', 1, '{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}'),
  ('Service', 'shop', 'b', 1, '{"kind": "Service", "metadata": {"name": "b"}, "spec": {"ports": [{"port": 2}]}}'),
  ('Service', 'shop', 'a', 2, '{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 3}]}}'),
  ('Service', 'shop', 'b', 3, NULL);
PRAGMA user_version=1;
)";
constexpr char kFormat2[] = R"(
CREATE TABLE commits(revision INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, author TEXT NOT NULL);
CREATE TABLE changes(
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL REFERENCES commits(revision),
  content TEXT);
CREATE UNIQUE INDEX changes_by_object ON changes(kind, namespace, name, revision);
INSERT INTO commits VALUES(1, 10, 'ann'), (2, 20, 'bob'), (3, 30, 'ann');
INSERT INTO changes(id, kind, namespace, name, revision, content) VALUES
  ((1 << 20) + 0, 'Service', 'shop', 'b', 1,
   '{"kind": "Service", "metadata": {"name": "b"}, "spec": {"ports": [{"port": 2}]}}'),
  ((1 << 20) + 1, 'Service', 'shop', 'a', 1,
   '{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}'),
  ((2 << 20) + 0, 'Service', 'shop', 'a', 2,
   '{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 3}]}}'),
  ((3 << 20) + 0, 'Service', 'shop', 'b', 3, NULL);
PRAGMA user_version=2;
)";

TEST_CASE("a database of an older format is taken over, with all its revisions") {
  const char* format = GENERATE(kFormat1, kFormat2);
  const Folder folder;
  REQUIRE(Database::open(folder.file()).value()->execute(format).ok());
  // Opened again, it has been taken over already.
  for (int i = 0; i < 2; ++i) {
    const auto store = open(folder.file());
    const auto listing = store->list();
    REQUIRE(listing.ok());
    CHECK(listing->revision == 3 + i);
    REQUIRE(store->get(key("a")).ok());
    CHECK(port_of(*store->get(key("a"))) == 3);
    CHECK_FALSE(store->get(key("b")).ok());
    REQUIRE(store->list_at(1).ok());
    CHECK(store->list_at(1)->objects.size() == 2);
    CHECK(port_of(store->list_at(1)->objects.front()) == 1);
    const auto history = store->history(std::nullopt, 10);
    REQUIRE(history.ok());
    REQUIRE(history->size() == static_cast<size_t>(3 + i));
    CHECK(history->back().keys == std::vector<Key>{key("a"), key("b")});
    CHECK(history->back().author == "ann");
    CHECK(history->back().time_ms == 10);
    CHECK(history->at(static_cast<size_t>(i)).keys == std::vector<Key>{key("b")});
    CHECK(store->history(key("a"), 10)->size() == 2);
    if (i == 0) CHECK(store->commit({put("c", 4)}, 40, "test").value_or(0) == 4);
  }
}

TEST_CASE("a row that is no message of its kind is told with its place") {
  const Folder folder;
  REQUIRE(open(folder.file())->commit({put("a", 1)}, 1, "test").ok());
  REQUIRE(Database::open(folder.file()).value()->execute("UPDATE changes SET content = x'ff'").ok());
  const auto damaged = SqliteStore::open(folder.file());
  CHECK(damaged.status().code() == absl::StatusCode::kDataLoss);
  CHECK(damaged.status().message() ==
        "revision 1 of Service shop/a in the store: 1 bytes that are no message of this kind");
}

TEST_CASE("what its writer found valid is told to watchers, and is not known of what is read back") {
  auto store = open(":memory:");
  std::vector<bool> seen;
  const auto note = [&seen](Revision, const std::vector<Change>& changes) {
    for (const Change& change : changes) seen.push_back(change.is_valid);
  };
  const auto first = store->watch(0, note);
  Write write = put("a", 1);
  write.is_valid = true;
  REQUIRE(store->commit({write}, 1, "test").ok());
  REQUIRE(store->commit({put("b", 1)}, 1, "test").ok());
  CHECK(seen == std::vector<bool>{true, false});
  const auto second = store->watch(0, note);
  CHECK(seen == std::vector<bool>{true, false, false, false});
}

TEST_CASE("what was committed survives SIGKILL at any moment") {
  const Folder folder;
  int64_t reached = 0;
  for (int round = 0; round < 12; ++round) {
    int acknowledged[2];
    REQUIRE(pipe(acknowledged) == 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = SqliteStore::open(folder.file());
      if (!store.ok()) _exit(1);
      for (int64_t i = (*store)->list()->revision;; ++i) {
        const auto revision =
            (*store)->commit({{key("a"), service("a", i + 1), {}}, {key("b"), service("b", i + 1), {}}}, i, "child");
        if (!revision.ok() || write(acknowledged[1], &*revision, sizeof *revision) < 0) _exit(1);
      }
    }
    close(acknowledged[1]);
    Revision last = 0;
    for (int i = 0; i < 1 + 3 * round; ++i) REQUIRE(read(acknowledged[0], &last, sizeof last) == sizeof last);
    REQUIRE(kill(child, SIGKILL) == 0);
    while (read(acknowledged[0], &last, sizeof last) == sizeof last) continue;
    close(acknowledged[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    auto store = open(folder.file());
    const Revision kept = store->list()->revision;
    // One more may have been on the disk and not yet told.
    CHECK((kept == last || kept == last + 1));
    CHECK(kept > static_cast<Revision>(reached));
    reached = kept;
    CHECK(port_of(*store->get(key("a"))) == static_cast<int>(kept));
    CHECK(port_of(*store->get(key("b"))) == static_cast<int>(kept));
    CHECK(store->history({}, 1 << 20)->size() == kept);
  }
}

TEST_CASE("commits do not make the log longer, and whoever opens it finds them, however its writer ended") {
  const Folder folder;
  const std::string log = folder.file() + "-wal";
  const pid_t child = fork();
  if (child == 0) {
    auto store = SqliteStore::open(folder.file());
    if (!store.ok()) _exit(1);
    const auto length = std::filesystem::file_size(log);
    for (int i = 1; i <= 50; ++i) {
      if (!(*store)->commit({{key("a"), service("a", i), {}}}, i, "child").ok()) _exit(2);
    }
    if (length < 4'000'000 || std::filesystem::file_size(log) != length) _exit(3);
    raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  INFO("exit code " << WEXITSTATUS(status));
  REQUIRE(WIFSIGNALED(status));
  auto store = open(folder.file());
  CHECK(store->list()->revision == 50);
  CHECK(port_of(*store->get(key("a"))) == 50);
  REQUIRE(store->commit({{key("a"), service("a", 51), {}}}, 51, "test").ok());
  store.reset();
  CHECK(open(folder.file())->list()->revision == 51);
}

// In a process and a mount namespace of its own, on a disk of one megabyte; the exit code is the line that failed.
int fill_a_disk(const std::string& folder) {
  // Root needs no user namespace, and may not be allowed one; others are root in theirs.
  const uid_t user = getuid();
  if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return __LINE__ & 0xff;
  if (user != 0) std::ofstream("/proc/self/uid_map") << "0 " << user << " 1\n";
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return __LINE__ & 0xff;
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") != 0) return __LINE__ & 0xff;
  auto store = SqliteStore::open(folder + "/weft.db");
  if (!store.ok()) return __LINE__ & 0xff;
  // It is not the store itself that fills the disk.
  if (std::filesystem::file_size(folder + "/weft.db-wal") > 512 * 1024) return __LINE__ & 0xff;
  Revision last = 0;
  absl::Status refused;
  for (int i = 1; i <= 200 && refused.ok(); ++i) {
    const auto revision = (*store)->commit({{key("a"), service("a", i, 30000), {}}}, i, "test");
    if (revision.ok()) last = *revision;
    refused = revision.status();
  }
  if (refused.code() != absl::StatusCode::kResourceExhausted) return __LINE__ & 0xff;
  if (refused.message().find("the disk is full") == std::string::npos) return __LINE__ & 0xff;
  if (last < 3 || (*store)->list()->revision != last) return __LINE__ & 0xff;
  if (port_of(*(*store)->get(key("a"))) != static_cast<int>(last)) return __LINE__ & 0xff;
  // With room again it goes on, and what stands on the disk is whole.
  if (mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT, "size=8m") != 0) return __LINE__ & 0xff;
  if ((*store)->commit({{key("b"), service("b", 1), {}}}, 1, "test").value_or(0) != last + 1) return __LINE__ & 0xff;
  store->reset();
  store = SqliteStore::open(folder + "/weft.db");
  if (!store.ok() || (*store)->list()->revision != last + 1) return __LINE__ & 0xff;
  return 0;
}

TEST_CASE("a full disk refuses the commit and nothing else") {
  const Folder folder;
  const pid_t child = fork();
  if (child == 0) _exit(fill_a_disk(folder.path()));
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  INFO("line " << WEXITSTATUS(status) << " modulo 256");
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace weft::control::source::sqlite
