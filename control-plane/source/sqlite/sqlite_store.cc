#include "control-plane/source/sqlite/sqlite_store.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/time_util.h>

#include <set>
#include <utility>

#include "api/text/cat.h"
#include "api/text/parse.h"
#include "api/text/print.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source::sqlite {

using text::cat;

namespace {

constexpr int64_t kFormat = 2;

// A row of a change lies at the end of its table, and only its key within an index: what a commit writes is then a few
// pages, however many objects there are. Its id is made of its revision and of its place in the commit.
constexpr int64_t kMaxChangesOfCommit = int64_t{1} << 20;

constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS commits(revision INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, author TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS changes(
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL REFERENCES commits(revision),
  content TEXT);  -- JSON; NULL: deleted
CREATE UNIQUE INDEX IF NOT EXISTS changes_by_object ON changes(kind, namespace, name, revision);
)";

// Format 1 had the rows in the order of their objects, content and all.
constexpr char kSetAside[] = "ALTER TABLE changes RENAME TO changes_1";
constexpr char kTakeOver[] = R"(
INSERT INTO changes(id, kind, namespace, name, revision, content)
  SELECT (revision << 20) + ROW_NUMBER() OVER (PARTITION BY revision ORDER BY kind, namespace, name) - 1,
    kind, namespace, name, revision, content FROM changes_1 ORDER BY 1;
DROP TABLE changes_1;
)";

int64_t first_id_of(Revision revision) { return static_cast<int64_t>(revision) * kMaxChangesOfCommit; }

// The columns kind, namespace, name, revision, content of the row at hand, in this order from 0.
absl::StatusOr<Change> change_of(const Statement& row) {
  const KindInfo* info = find_kind_by_word(row.text(0));
  Change change;
  change.revision = static_cast<Revision>(row.integer(3));
  const std::string where =
      cat("revision ", change.revision, " of ", row.text(0), " ", row.text(1), "/", row.text(2), " in the store");
  if (info == nullptr) return absl::DataLossError(cat(where, ": a kind that this version does not know"));
  change.key = {info->kind, std::string(row.text(1)), std::string(row.text(2))};
  if (row.is_null(4)) return change;
  std::shared_ptr<google::protobuf::Message> content = make_message(info->kind);
  text::ParseOptions options;
  options.format = text::ParseOptions::Format::kJson;
  options.json_names = true;
  if (const absl::Status status = text::parse(row.text(4), where, content.get(), options); !status.ok()) {
    return absl::DataLossError(status.message());
  }
  change.content = std::move(content);
  return change;
}

std::string json_of(const google::protobuf::Message& content) {
  text::PrintOptions options;
  options.proto_names = false;
  options.indent = false;
  return text::print_json(content, options);
}

}  // namespace

class SqliteStore::Watching : public Store::Watch {
 public:
  Watching(SqliteStore* store, Watcher watcher) : store_(store), watcher_(std::move(watcher)) {
    store_->watchers_.push_back(&watcher_);
  }
  ~Watching() override { store_->watchers_.remove(&watcher_); }

 private:
  SqliteStore* const store_;
  Watcher watcher_;
};

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path);
  if (!database.ok()) return database.status();
  std::unique_ptr<SqliteStore> store(new SqliteStore(*std::move(database)));
  if (absl::Status status = store->prepare_tables(); !status.ok()) return status;
  absl::StatusOr<Statement> newest = store->database_->prepare("SELECT COALESCE(MAX(revision), 0) FROM commits");
  if (!newest.ok()) return newest.status();
  if (const absl::StatusOr<bool> row = newest->step(); !row.ok()) return row.status();
  store->revision_ = static_cast<Revision>(newest->integer(0));
  absl::StatusOr<Listing> listing = store->list_at(store->revision_);
  if (!listing.ok()) return listing.status();
  for (Object& object : listing->objects) store->objects_.emplace(object.key, std::move(object));
  return store;
}

absl::Status SqliteStore::prepare_tables() {
  const absl::StatusOr<int64_t> version = database_->user_version();
  if (!version.ok()) return version.status();
  const int64_t format = *version;
  if (format > kFormat) {
    return absl::DataLossError(
        cat("the database was written by a newer version: its format is ", format, ", this one reads up to ", kFormat));
  }
  return database_->transact([&]() -> absl::Status {
    if (format == 1) {
      if (absl::Status status = database_->execute(kSetAside); !status.ok()) return status;
    }
    if (absl::Status status = database_->execute(kTables); !status.ok()) return status;
    if (format == 1) {
      if (absl::Status status = database_->execute(kTakeOver); !status.ok()) return status;
    }
    return database_->execute(cat("PRAGMA user_version=", kFormat).c_str());
  });
}

absl::StatusOr<Object> SqliteStore::get(const Key& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return absl::NotFoundError(cat(to_string(key), " does not exist"));
  return found->second;
}

absl::StatusOr<Listing> SqliteStore::list() {
  Listing listing{revision_, {}};
  listing.objects.reserve(objects_.size());
  for (const auto& [key, object] : objects_) listing.objects.push_back(object);
  return listing;
}

absl::Status SqliteStore::check_reached(Revision revision) const {
  if (revision <= revision_) return absl::OkStatus();
  return absl::OutOfRangeError(cat("there is no revision ", revision, "; the newest is ", revision_));
}

absl::StatusOr<Listing> SqliteStore::list_at(Revision revision) {
  if (absl::Status status = check_reached(revision); !status.ok()) return status;
  // SQLite takes the bare columns from the row that has the maximum.
  absl::StatusOr<Statement> rows = database_->prepare(
      "SELECT kind, namespace, name, MAX(revision), content FROM changes WHERE revision <= ? "
      "GROUP BY kind, namespace, name");
  if (!rows.ok()) return rows.status();
  rows->bind(1, static_cast<int64_t>(revision));
  Listing listing{revision, {}};
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return listing;
    if (rows->is_null(4)) continue;
    absl::StatusOr<Change> change = change_of(*rows);
    if (!change.ok()) return change.status();
    listing.objects.push_back({std::move(change->key), change->revision, std::move(change->content)});
  }
}

absl::StatusOr<std::optional<Change>> SqliteStore::decide(const Write& write, Revision revision, int64_t time_ms) {
  const auto found = objects_.find(write.key);
  const Object* current = found == objects_.end() ? nullptr : &found->second;
  const Revision have = current == nullptr ? 0 : current->revision;
  if (write.expected.has_value() && *write.expected != have) {
    const std::string_view name = have == 0 ? "it does not exist" : "";
    return absl::AbortedError(cat(to_string(write.key), " is not at revision ", *write.expected, " any more: ", name,
                                  have == 0 ? "" : cat("it is at ", have)));
  }
  if (write.content == nullptr) {
    if (current == nullptr) return absl::NotFoundError(cat(to_string(write.key), " does not exist"));
    return Change{write.key, revision, nullptr};
  }
  if (current != nullptr && same_intent(*current->content, *write.content)) return std::nullopt;
  std::shared_ptr<google::protobuf::Message> content(write.content->New());
  content->CopyFrom(*write.content);
  kubernetes::meta::v1::ObjectMeta* metadata = mutable_metadata_of(content.get());
  metadata->set_resource_version(std::to_string(revision));
  if (current == nullptr) {
    metadata->set_generation(1);
    *metadata->mutable_creation_timestamp() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(time_ms);
  } else {
    const auto& old = metadata_of(*current->content);
    metadata->set_generation(old.generation() + 1);
    *metadata->mutable_creation_timestamp() = old.creation_timestamp();
  }
  return Change{write.key, revision, std::move(content)};
}

absl::Status SqliteStore::store(const std::vector<Change>& changes, Revision revision, int64_t time_ms,
                                const std::string& author) {
  for (const auto& [statement, sql] :
       {std::pair(&insert_commit_, "INSERT INTO commits(revision, time_ms, author) VALUES(?, ?, ?)"),
        std::pair(&insert_change_,
                  "INSERT INTO changes(kind, namespace, name, revision, content, id) VALUES(?, ?, ?, ?, ?, ?)")}) {
    if (statement->has_value()) continue;
    absl::StatusOr<Statement> prepared = database_->prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  std::optional<Statement>& insert = insert_change_;
  insert_commit_->bind(1, static_cast<int64_t>(revision)).bind(2, time_ms).bind(3, author);
  if (absl::Status status = insert_commit_->run(); !status.ok()) return status;
  int64_t id = first_id_of(revision);
  for (const Change& change : changes) {
    insert->bind(1, kind_name(change.key.kind)).bind(2, change.key.namespace_name).bind(3, change.key.name);
    insert->bind(4, static_cast<int64_t>(revision));
    if (change.content == nullptr) {
      insert->bind_null(5);
    } else {
      insert->bind(5, json_of(*change.content));
    }
    insert->bind(6, id++);
    if (absl::Status status = insert->run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Change>> SqliteStore::plan(const std::vector<Write>& writes, Revision revision,
                                                      int64_t time_ms) {
  std::vector<Change> changes;
  std::set<Key> seen;
  for (const Write& write : writes) {
    if (!seen.insert(write.key).second) {
      return absl::InvalidArgumentError(cat(to_string(write.key), " stands in one commit twice"));
    }
    absl::StatusOr<std::optional<Change>> change = decide(write, revision, time_ms);
    if (!change.ok()) return change.status();
    if (change->has_value()) changes.push_back(*std::move(*change));
  }
  return changes;
}

absl::Status SqliteStore::check(const std::vector<Write>& writes) { return plan(writes, revision_ + 1, 0).status(); }

absl::StatusOr<Revision> SqliteStore::commit(const std::vector<Write>& writes, int64_t time_ms,
                                             const std::string& author) {
  const Revision revision = revision_ + 1;
  absl::StatusOr<std::vector<Change>> planned = plan(writes, revision, time_ms);
  if (!planned.ok()) return planned.status();
  const std::vector<Change>& changes = *planned;
  if (changes.empty()) return revision_;
  if (changes.size() > static_cast<size_t>(kMaxChangesOfCommit)) {
    return absl::InvalidArgumentError(
        cat("a commit of ", changes.size(), " objects; it may have ", kMaxChangesOfCommit));
  }

  const absl::Status status = database_->transact([&] { return store(changes, revision, time_ms, author); });
  if (!status.ok()) return status;
  revision_ = revision;
  for (const Change& change : changes) {
    if (change.content == nullptr) {
      objects_.erase(change.key);
    } else {
      objects_.insert_or_assign(change.key, Object{change.key, revision, change.content});
    }
  }
  for (const Watcher* watcher : watchers_) (*watcher)(revision, changes);
  return revision;
}

absl::StatusOr<std::vector<Commit>> SqliteStore::history(const std::optional<Key>& key, size_t limit) {
  absl::StatusOr<Statement> commits = database_->prepare(
      key.has_value() ? "SELECT revision, time_ms, author FROM commits WHERE revision IN (SELECT revision FROM changes "
                        "WHERE kind = ? AND namespace = ? AND name = ?) ORDER BY revision DESC LIMIT ?"
                      : "SELECT revision, time_ms, author FROM commits ORDER BY revision DESC LIMIT ?");
  if (!commits.ok()) return commits.status();
  int next = 1;
  if (key.has_value()) {
    commits->bind(1, kind_name(key->kind)).bind(2, key->namespace_name).bind(3, key->name);
    next = 4;
  }
  commits->bind(next, static_cast<int64_t>(limit));
  absl::StatusOr<Statement> keys = database_->prepare(
      "SELECT kind, namespace, name FROM changes WHERE id >= ? AND id < ? ORDER BY kind, namespace, name");
  if (!keys.ok()) return keys.status();

  std::vector<Commit> out;
  for (;;) {
    const absl::StatusOr<bool> row = commits->step();
    if (!row.ok()) return row.status();
    if (!*row) return out;
    Commit commit{static_cast<Revision>(commits->integer(0)), commits->integer(1), std::string(commits->text(2)), {}};
    keys->bind(1, first_id_of(commit.revision)).bind(2, first_id_of(commit.revision + 1));
    for (;;) {
      const absl::StatusOr<bool> changed = keys->step();
      if (!changed.ok()) return changed.status();
      if (!*changed) break;
      const KindInfo* info = find_kind_by_word(keys->text(0));
      if (info == nullptr) return absl::DataLossError(cat("unknown kind ", keys->text(0), " in the store"));
      commit.keys.push_back({info->kind, std::string(keys->text(1)), std::string(keys->text(2))});
    }
    out.push_back(std::move(commit));
  }
}

absl::Status SqliteStore::replay(Revision from, const Watcher& watcher) {
  absl::StatusOr<Statement> rows =
      database_->prepare("SELECT kind, namespace, name, revision, content FROM changes WHERE id >= ? ORDER BY id");
  if (!rows.ok()) return rows.status();
  rows->bind(1, first_id_of(from + 1));
  std::vector<Change> changes;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    absl::StatusOr<Change> change = Change{};
    if (*row) change = change_of(*rows);
    if (!change.ok()) return change.status();
    const bool complete = !changes.empty() && (!*row || change->revision != changes.front().revision);
    if (complete) {
      watcher(changes.front().revision, changes);
      changes.clear();
    }
    if (!*row) return absl::OkStatus();
    changes.push_back(*std::move(change));
  }
}

absl::StatusOr<std::unique_ptr<Store::Watch>> SqliteStore::watch(Revision from, Watcher watcher) {
  if (absl::Status status = check_reached(from); !status.ok()) return status;
  if (absl::Status status = replay(from, watcher); !status.ok()) return status;
  return std::make_unique<Watching>(this, std::move(watcher));
}

}  // namespace weft::control::source::sqlite
