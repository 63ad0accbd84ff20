#pragma once

// SQLite behind absl::Status: the one place that calls its C interface. A Database and its statements belong to one
// owner and are not synchronised.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weft::control::source::sqlite {

class Statement {
 public:
  // Parameters count from 1, columns from 0.
  Statement& bind(int index, int64_t value);
  Statement& bind(int index, std::string_view value);
  Statement& bind_blob(int index, std::string_view value);
  Statement& bind_null(int index);

  // True: a row is there; false: none is left, and the statement can be bound and run anew.
  absl::StatusOr<bool> step();
  // For statements without rows: runs it to its end.
  absl::Status run();

  int64_t integer(int column) const;
  // Valid until the next step.
  std::string_view text(int column) const;
  std::string_view blob(int column) const;
  bool is_blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(class Database* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

  class Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  // Creates the file if there is none; ":memory:" keeps nothing. Commits are on the disk when they return: write-ahead
  // log, fully synchronous. Unavailable if another process has it open.
  static absl::StatusOr<std::unique_ptr<Database>> open(const std::string& path);
  // The same, and these statements carried out, which create the tables that are not there.
  static absl::StatusOr<std::unique_ptr<Database>> open(const std::string& path, const char* tables);

  // From now on commits wait for no disk: they survive the process being killed, and the last of them may be lost with
  // the machine.
  absl::Status wait_for_no_disk() { return execute("PRAGMA synchronous=NORMAL"); }

  // Gives the write-ahead log, 4 MiB, the length that it reaches before it is written anew from its start: of a file
  // that grows each commit writes the inode too. An error, of a full disk too, leaves it as it was, and does no harm.
  absl::Status lengthen_log();

  absl::Status execute(const char* sql);
  absl::StatusOr<Statement> prepare(std::string_view sql);
  // Into `statement`, the first time.
  absl::Status prepare_once(std::string_view sql, std::optional<Statement>& statement);
  // The number that a writer left in the file ("PRAGMA user_version=N"); 0 if none did.
  absl::StatusOr<int64_t> user_version();
  // All that `work`, which returns a status, writes, or if it or the commit fails nothing of it.
  template <typename Work>
  absl::Status transact(Work&& work) {
    absl::Status status = run("BEGIN IMMEDIATE", begin_);
    if (status.ok()) status = work();
    if (status.ok()) status = run("COMMIT", commit_);
    // A full disk has rolled back by itself already; that this fails then says nothing new.
    if (!status.ok()) (void)execute("ROLLBACK");
    return status;
  }

  // The error of the call that failed last: ResourceExhausted for a full disk, DataLoss for a damaged file.
  absl::Status error(std::string_view doing) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  explicit Database(std::string path) : path_(std::move(path)) {}

  absl::Status run(std::string_view sql, std::optional<Statement>& statement);

  const std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  std::optional<Statement> begin_;
  std::optional<Statement> commit_;
};

}  // namespace weft::control::source::sqlite
