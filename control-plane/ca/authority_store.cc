#include "control-plane/ca/authority_store.h"

#include <utility>

#include "api/text/cat.h"

namespace weft::control::ca {

using source::sqlite::Database;
using source::sqlite::Statement;

namespace {

constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS generations(
  id INTEGER PRIMARY KEY, stage TEXT NOT NULL, created_ms INTEGER NOT NULL, last_not_after_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS issued(
  number INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL, spiffe_id TEXT NOT NULL, node TEXT NOT NULL,
  peer TEXT NOT NULL, origin TEXT NOT NULL, shown TEXT NOT NULL, generation INTEGER NOT NULL,
  issued_ms INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL);
)";
constexpr char kDurable[] = "PRAGMA synchronous=FULL";
// Thousands are issued at once, and what the machine forgets of the log with its power is no more than the log.
constexpr char kQuick[] = "PRAGMA synchronous=NORMAL";
constexpr std::string_view kStages[] = {"trusted", "signing", "retiring"};

absl::StatusOr<Stage> stage_of(std::string_view text) {
  for (const Stage stage : {Stage::kTrusted, Stage::kSigning, Stage::kRetiring}) {
    if (text == stage_name(stage)) return stage;
  }
  return absl::DataLossError(text::cat("a generation of the authority is in the stage \"", text,
                                       "\" in the store; expected trusted, signing or retiring"));
}

}  // namespace

std::string_view stage_name(Stage stage) { return kStages[static_cast<size_t>(stage)]; }

absl::StatusOr<std::unique_ptr<AuthorityStore>> AuthorityStore::open(const std::string& path, int64_t max_issued) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path, kTables);
  if (!database.ok()) return database.status();
  return std::unique_ptr<AuthorityStore>(new AuthorityStore(*std::move(database), max_issued));
}

absl::StatusOr<std::vector<GenerationRecord>> AuthorityStore::load_generations() {
  absl::StatusOr<Statement> rows =
      database_->prepare("SELECT id, stage, created_ms, last_not_after_ms FROM generations ORDER BY id");
  if (!rows.ok()) return rows.status();
  std::vector<GenerationRecord> records;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return records;
    const absl::StatusOr<Stage> stage = stage_of(rows->text(1));
    if (!stage.ok()) return stage.status();
    records.push_back({rows->integer(0), *stage, rows->integer(2), rows->integer(3)});
  }
}

template <typename Work>
absl::Status AuthorityStore::transact(const char* pragma, Work&& work) {
  absl::Status status = database_->execute(pragma);
  return status.ok() ? database_->transact(std::forward<Work>(work)) : status;
}

absl::Status AuthorityStore::write_generations(const std::vector<GenerationRecord>& generations) {
  if (absl::Status status = database_->execute("DELETE FROM generations"); !status.ok()) return status;
  absl::StatusOr<Statement> put = database_->prepare("INSERT INTO generations VALUES(?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  for (const GenerationRecord& each : generations) {
    put->bind(1, each.id).bind(2, stage_name(each.stage));
    put->bind(3, each.created_ms).bind(4, each.last_not_after_ms);
    if (absl::Status status = put->run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AuthorityStore::save_generations(const std::vector<GenerationRecord>& generations) {
  return transact(kDurable, [&] { return write_generations(generations); });
}

absl::Status AuthorityStore::write_issued(const IssuedRecord& record) {
  absl::StatusOr<Statement> put = database_->prepare(
      "INSERT INTO issued(serial, spiffe_id, node, peer, origin, shown, generation, issued_ms, not_before_ms, "
      "not_after_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  put->bind(1, record.serial).bind(2, record.spiffe_id).bind(3, record.node).bind(4, record.peer);
  put->bind(5, record.origin).bind(6, record.shown).bind(7, record.generation).bind(8, record.issued_ms);
  put->bind(9, record.not_before_ms).bind(10, record.not_after_ms);
  if (absl::Status status = put->run(); !status.ok()) return status;
  // Numbers are given one by one, so one row goes for each that comes.
  absl::StatusOr<Statement> trim =
      database_->prepare("DELETE FROM issued WHERE number <= (SELECT MAX(number) FROM issued) - ?");
  if (!trim.ok()) return trim.status();
  if (absl::Status status = trim->bind(1, max_issued_).run(); !status.ok()) return status;
  absl::StatusOr<Statement> last =
      database_->prepare("UPDATE generations SET last_not_after_ms = MAX(last_not_after_ms, ?) WHERE id = ?");
  if (!last.ok()) return last.status();
  return last->bind(1, record.not_after_ms).bind(2, record.generation).run();
}

absl::Status AuthorityStore::append(const IssuedRecord& record) {
  return transact(kQuick, [&] { return write_issued(record); });
}

absl::StatusOr<int64_t> AuthorityStore::count_live(int64_t generation, int64_t now_ms) {
  absl::StatusOr<Statement> row =
      database_->prepare("SELECT COUNT(*) FROM issued WHERE generation = ? AND not_after_ms > ?");
  if (!row.ok()) return row.status();
  const absl::StatusOr<bool> found = row->bind(1, generation).bind(2, now_ms).step();
  if (!found.ok()) return found.status();
  return row->integer(0);
}

absl::StatusOr<std::vector<IssuedRecord>> AuthorityStore::list(const std::string& spiffe_id_or_node, int64_t limit) {
  absl::StatusOr<Statement> rows = database_->prepare(
      "SELECT serial, spiffe_id, node, peer, origin, shown, generation, issued_ms, not_before_ms, not_after_ms "
      "FROM issued WHERE ?1 = '' OR spiffe_id = ?1 OR node = ?1 ORDER BY number DESC LIMIT ?2");
  if (!rows.ok()) return rows.status();
  rows->bind(1, spiffe_id_or_node).bind(2, limit);
  std::vector<IssuedRecord> records;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return records;
    records.push_back({.serial = std::string(rows->text(0)),
                       .spiffe_id = std::string(rows->text(1)),
                       .node = std::string(rows->text(2)),
                       .peer = std::string(rows->text(3)),
                       .origin = std::string(rows->text(4)),
                       .shown = std::string(rows->text(5)),
                       .generation = rows->integer(6),
                       .issued_ms = rows->integer(7),
                       .not_before_ms = rows->integer(8),
                       .not_after_ms = rows->integer(9)});
  }
}

}  // namespace weft::control::ca
