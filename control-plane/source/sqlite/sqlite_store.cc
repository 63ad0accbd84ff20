#include "control-plane/source/sqlite/sqlite_store.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <set>
#include <utility>

#include "api/text/cat.h"
#include "api/text/parse.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source::sqlite {

using text::cat;

namespace {

constexpr int64_t kFormat = 3;

// A row of a change lies at the end of its table, and only its key within an index: what a commit writes is then two
// pages, however many objects there are. Its id is made of its revision and of its place in the commit; each revision
// has at least one.
constexpr int64_t kMaxChangesOfCommit = int64_t{1} << 20;

constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS changes(
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, author TEXT NOT NULL,  -- of the commit
  content);  -- BLOB: the kind's protobuf message; TEXT, from before format 3: the same as JSON; NULL: deleted
CREATE UNIQUE INDEX IF NOT EXISTS changes_by_object ON changes(kind, namespace, name, revision);
)";

// Before, times and authors were in a table of commits. Format 1 had the rows in the order of their objects, content
// and all.
constexpr char kSetAside[] = R"(
ALTER TABLE changes RENAME TO changes_before;
DROP INDEX IF EXISTS changes_by_object;
)";
constexpr char kTakeOver[] = R"(
INSERT INTO changes(id, kind, namespace, name, revision, time_ms, author, content)
  SELECT (revision << 20) + ROW_NUMBER() OVER (PARTITION BY revision ORDER BY kind, namespace, name) - 1,
    kind, namespace, name, revision, time_ms, author, content FROM changes_before JOIN commits USING(revision)
  ORDER BY 1;
DROP TABLE changes_before;
DROP TABLE commits;
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
  if (row.is_blob(4)) {
    const std::string_view bytes = row.blob(4);
    if (!content->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(cat(where, ": ", bytes.size(), " bytes that are no message of this kind"));
    }
    change.content = std::move(content);
    return change;
  }
  text::ParseOptions options;
  options.format = text::ParseOptions::Format::kJson;
  options.json_names = true;
  if (const absl::Status status = text::parse(row.text(4), where, content.get(), options); !status.ok()) {
    return absl::DataLossError(status.message());
  }
  change.content = std::move(content);
  return change;
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
  absl::StatusOr<Statement> newest = store->database_->prepare("SELECT COALESCE(MAX(id) >> 20, 0) FROM changes");
  if (!newest.ok()) return newest.status();
  if (const absl::StatusOr<bool> row = newest->step(); !row.ok()) return row.status();
  store->revision_ = static_cast<Revision>(newest->integer(0));
  absl::StatusOr<Listing> listing = store->list_at(store->revision_);
  if (!listing.ok()) return listing.status();
  for (Object& object : listing->objects) store->objects_.emplace(object.key, std::move(object));
  // Without room for that commits take longer, and whatever finds no room at all says so.
  (void)store->database_->lengthen_log();
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
    const bool is_old = format == 1 || format == 2;
    if (is_old) {
      if (absl::Status status = database_->execute(kSetAside); !status.ok()) return status;
    }
    if (absl::Status status = database_->execute(kTables); !status.ok()) return status;
    if (is_old) {
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
  std::sort(listing.objects.begin(), listing.objects.end(),
            [](const Object& a, const Object& b) { return a.key < b.key; });
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
    return Change{write.key, revision, nullptr, false};
  }
  // Where nothing new is asked for, it is what there is.
  const google::protobuf::Message& before =
      current == nullptr ? *kind_info(write.key.kind).prototype : *current->content;
  std::shared_ptr<google::protobuf::Message> content = in_place_of(before, *write.content);
  if (current != nullptr && same_bytes(*current->content, *content)) return std::nullopt;
  kubernetes::meta::v1::ObjectMeta* metadata = mutable_metadata_of(content.get());
  metadata->set_resource_version(std::to_string(revision));
  metadata->set_generation(metadata->generation() + 1);
  if (current == nullptr) {
    *metadata->mutable_creation_timestamp() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(time_ms);
  }
  return Change{write.key, revision, std::move(content), write.is_valid};
}

absl::Status SqliteStore::store(const std::vector<Change>& changes, Revision revision, int64_t time_ms,
                                const std::string& author) {
  const absl::Status prepared = database_->prepare_once(
      "INSERT INTO changes(id, kind, namespace, name, revision, time_ms, author, content) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      insert_);
  if (!prepared.ok()) return prepared;
  insert_->bind(5, static_cast<int64_t>(revision)).bind(6, time_ms).bind(7, author);
  int64_t id = first_id_of(revision);
  for (const Change& change : changes) {
    insert_->bind(1, id++).bind(2, kind_name(change.key.kind));
    insert_->bind(3, change.key.namespace_name).bind(4, change.key.name);
    if (change.content == nullptr) {
      insert_->bind_null(8);
    } else {
      insert_->bind_blob(8, change.content->SerializeAsString());
    }
    if (absl::Status status = insert_->run(); !status.ok()) return status;
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

absl::StatusOr<std::vector<Revision>> SqliteStore::revisions_of(const Key& key, size_t limit) {
  absl::StatusOr<Statement> rows = database_->prepare(
      "SELECT revision FROM changes WHERE kind = ? AND namespace = ? AND name = ? ORDER BY revision DESC LIMIT ?");
  if (!rows.ok()) return rows.status();
  rows->bind(1, kind_name(key.kind)).bind(2, key.namespace_name).bind(3, key.name);
  rows->bind(4, static_cast<int64_t>(limit));
  std::vector<Revision> out;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return out;
    out.push_back(static_cast<Revision>(rows->integer(0)));
  }
}

absl::StatusOr<std::vector<Commit>> SqliteStore::history(const std::optional<Key>& key, size_t limit) {
  std::vector<Revision> revisions;
  if (key.has_value()) {
    absl::StatusOr<std::vector<Revision>> of_key = revisions_of(*key, limit);
    if (!of_key.ok()) return of_key.status();
    revisions = *std::move(of_key);
  } else {
    for (Revision each = revision_; each > 0 && revisions.size() < limit; --each) revisions.push_back(each);
  }
  absl::StatusOr<Statement> changes = database_->prepare(
      "SELECT kind, namespace, name, time_ms, author FROM changes WHERE id >= ? AND id < ? "
      "ORDER BY kind, namespace, name");
  if (!changes.ok()) return changes.status();

  std::vector<Commit> out;
  for (const Revision revision : revisions) {
    Commit commit{.revision = revision, .author = {}, .keys = {}};
    changes->bind(1, first_id_of(revision)).bind(2, first_id_of(revision + 1));
    for (;;) {
      const absl::StatusOr<bool> changed = changes->step();
      if (!changed.ok()) return changed.status();
      if (!*changed) break;
      const KindInfo* info = find_kind_by_word(changes->text(0));
      if (info == nullptr) return absl::DataLossError(cat("unknown kind ", changes->text(0), " in the store"));
      commit.keys.push_back({info->kind, std::string(changes->text(1)), std::string(changes->text(2))});
      commit.time_ms = changes->integer(3);
      commit.author = changes->text(4);
    }
    out.push_back(std::move(commit));
  }
  return out;
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
