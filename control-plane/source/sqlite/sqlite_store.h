#pragma once

// The store that needs nothing else: one SQLite file that keeps every revision. What commit() returned survives the
// process being killed, and the machine. Current objects are held in memory too, shared with whoever got them.

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "control-plane/source/sqlite/database.h"
#include "control-plane/source/store.h"

namespace weft::control::source::sqlite {

class SqliteStore : public Store {
 public:
  // `path` is created if it does not exist; ":memory:" keeps nothing. DataLoss if the file holds what this version
  // cannot read; Unavailable if another process has it.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> open(const std::string& path);

  absl::StatusOr<Object> get(const Key& key) override;
  absl::StatusOr<Listing> list() override;
  absl::StatusOr<Listing> list_at(Revision revision) override;
  absl::StatusOr<Revision> commit(const std::vector<Write>& writes, int64_t time_ms,
                                  const std::string& author) override;
  absl::Status check(const std::vector<Write>& writes) override;
  absl::StatusOr<std::vector<Commit>> history(const std::optional<Key>& key, size_t limit) override;
  absl::StatusOr<std::unique_ptr<Watch>> watch(Revision from, Watcher watcher) override;

 private:
  class Watching;

  explicit SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  absl::Status prepare_tables();
  // The change that `write` makes now, or nothing if it makes none.
  absl::StatusOr<std::optional<Change>> decide(const Write& write, Revision revision, int64_t time_ms);
  // The changes that the writes make together as this revision.
  absl::StatusOr<std::vector<Change>> plan(const std::vector<Write>& writes, Revision revision, int64_t time_ms);
  absl::Status store(const std::vector<Change>& changes, Revision revision, int64_t time_ms, const std::string& author);
  // Those of the commits that changed it, newest first.
  absl::StatusOr<std::vector<Revision>> revisions_of(const Key& key, size_t limit);
  absl::Status replay(Revision from, const Watcher& watcher);
  absl::Status check_reached(Revision revision) const;

  std::unique_ptr<Database> database_;
  // Of every change; prepared by the first.
  std::optional<Statement> insert_;
  Revision revision_ = 0;
  absl::flat_hash_map<Key, Object> objects_;
  std::list<Watcher*> watchers_;
};

}  // namespace weft::control::source::sqlite
