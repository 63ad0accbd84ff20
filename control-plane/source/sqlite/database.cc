#include "control-plane/source/sqlite/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "api/text/cat.h"

namespace weft::control::source::sqlite {

using text::cat;

namespace {

// A page with its head; a head; and as many pages as SQLite lets a log have before it begins it anew.
constexpr off_t kLogPageBytes = 24 + 4096;
constexpr off_t kLogBytes = 32 + 1000 * kLogPageBytes;

std::string_view column_text(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text == nullptr ? std::string_view() : std::string_view(text, sqlite3_column_bytes(statement, column));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* handle) const { sqlite3_close(handle); }

// Binding fails only for an index that the statement does not have, or without memory; both show in step().
Statement& Statement::bind(int index, int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view value) {
  sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_.get(), index);
  return *this;
}

absl::StatusOr<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  const absl::Status status = database_->error("access");
  sqlite3_reset(statement_.get());
  return status;
}

absl::Status Statement::run() {
  for (;;) {
    const absl::StatusOr<bool> row = step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
  }
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
std::string_view Statement::text(int column) const { return column_text(statement_.get(), column); }
std::string_view Statement::blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return bytes == nullptr ? std::string_view()
                          : std::string_view(bytes, sqlite3_column_bytes(statement_.get(), column));
}
bool Statement::is_blob(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_BLOB; }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

absl::StatusOr<std::unique_ptr<Database>> Database::open(const std::string& path) {
  std::unique_ptr<Database> database(new Database(path));
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  database->handle_.reset(handle);
  if (result != SQLITE_OK) return database->error("open");
  sqlite3_extended_result_codes(handle, 1);
  // Exclusive: one control plane owns the file, and the log's index needs no shared memory. The lock is taken by the
  // first write, so that a second process fails here and not in the middle.
  const absl::Status status = database->execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
      "BEGIN IMMEDIATE; COMMIT;");
  if (!status.ok()) return status;
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::open(const std::string& path, const char* tables) {
  absl::StatusOr<std::unique_ptr<Database>> database = open(path);
  if (!database.ok()) return database.status();
  if (absl::Status status = (*database)->execute(tables); !status.ok()) return status;
  return database;
}

absl::Status Database::lengthen_log() {
  const std::string path = cat(path_, "-wal");
  const auto failed = [&path] { return absl::ErrnoToStatus(errno, cat("cannot lengthen ", path)); };
  // SQLite locks the database, not its log: no lock goes with this descriptor.
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return failed();
  const auto close = absl::MakeCleanup([file] { ::close(file); });
  struct stat was{};
  if (fstat(file, &was) != 0) return failed();
  // What lies behind the last commit is of no meaning in a log.
  const std::string zeros(kLogPageBytes, '\0');
  for (off_t at = was.st_size; at < kLogBytes; at += kLogPageBytes) {
    if (pwrite(file, zeros.data(), zeros.size(), at) == static_cast<ssize_t>(zeros.size())) continue;
    const absl::Status status = failed();
    (void)ftruncate(file, was.st_size);
    return status;
  }
  return fsync(file) == 0 ? absl::OkStatus() : failed();
}

absl::StatusOr<int64_t> Database::user_version() {
  absl::StatusOr<Statement> version = prepare("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (const absl::StatusOr<bool> row = version->step(); !row.ok()) return row.status();
  return version->integer(0);
}

absl::Status Database::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("access");
  return absl::OkStatus();
}

absl::StatusOr<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK) {
    return error("access");
  }
  return Statement(this, statement);
}

absl::Status Database::prepare_once(std::string_view sql, std::optional<Statement>& statement) {
  if (statement.has_value()) return absl::OkStatus();
  absl::StatusOr<Statement> prepared = prepare(sql);
  if (prepared.ok()) statement = *std::move(prepared);
  return prepared.status();
}

absl::Status Database::run(std::string_view sql, std::optional<Statement>& statement) {
  if (absl::Status status = prepare_once(sql, statement); !status.ok()) return status;
  return statement->run();
}

absl::Status Database::error(std::string_view doing) const {
  const int code = sqlite3_errcode(handle_.get());
  const std::string what = cat("cannot ", doing, " the database ", path_, ": ");
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(cat(what, "the disk is full"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(cat(what, "another process has it open"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(cat(what, sqlite3_errmsg(handle_.get())));
    default:
      return absl::UnavailableError(cat(what, sqlite3_errmsg(handle_.get())));
  }
}

}  // namespace weft::control::source::sqlite
