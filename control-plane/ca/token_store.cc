#include "control-plane/ca/token_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::control::ca {

using source::sqlite::Database;
using source::sqlite::Statement;

namespace {

constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS tokens(
  id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL, namespace TEXT NOT NULL, service TEXT NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, uses INTEGER NOT NULL, revoked_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS joined(token TEXT NOT NULL, node TEXT NOT NULL, PRIMARY KEY(token, node)) WITHOUT ROWID;
)";

}  // namespace

absl::StatusOr<std::unique_ptr<TokenStore>> TokenStore::open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path, kTables);
  if (!database.ok()) return database.status();
  return std::unique_ptr<TokenStore>(new TokenStore(*std::move(database)));
}

absl::StatusOr<std::vector<TokenRecord>> TokenStore::load_tokens() {
  absl::StatusOr<Statement> rows = database_->prepare(
      "SELECT id, secret_sha256, namespace, service, created_ms, expires_ms, uses, revoked_ms FROM tokens");
  if (!rows.ok()) return rows.status();
  std::vector<TokenRecord> records;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return records;
    TokenRecord record;
    record.id = rows->text(0);
    if (!from_hex(rows->text(1), &record.secret_sha256)) {
      return absl::DataLossError(absl::StrCat("the token ", record.id, " in the store has no digest of its secret"));
    }
    record.namespace_name = rows->text(2);
    record.service = rows->text(3);
    record.created_ms = rows->integer(4);
    record.expires_ms = rows->integer(5);
    record.uses = static_cast<uint32_t>(rows->integer(6));
    record.revoked_ms = rows->integer(7);
    records.push_back(std::move(record));
  }
}

absl::StatusOr<std::vector<JoinedNode>> TokenStore::load_nodes() {
  absl::StatusOr<Statement> rows = database_->prepare("SELECT token, node FROM joined");
  if (!rows.ok()) return rows.status();
  std::vector<JoinedNode> nodes;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return nodes;
    nodes.push_back({std::string(rows->text(0)), std::string(rows->text(1))});
  }
}

absl::Status TokenStore::put(const TokenRecord& record) {
  // That a token is revoked must outlive the machine.
  if (absl::Status status = database_->execute("PRAGMA synchronous=FULL"); !status.ok()) return status;
  absl::StatusOr<Statement> put = database_->prepare("INSERT OR REPLACE INTO tokens VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  put->bind(1, record.id).bind(2, to_hex(record.secret_sha256.data(), record.secret_sha256.size()));
  put->bind(3, record.namespace_name).bind(4, record.service).bind(5, record.created_ms).bind(6, record.expires_ms);
  put->bind(7, int64_t{record.uses}).bind(8, record.revoked_ms);
  return put->run();
}

absl::Status TokenStore::remove(const std::vector<std::string>& ids) {
  return database_->transact([&]() -> absl::Status {
    for (const char* sql : {"DELETE FROM tokens WHERE id = ?", "DELETE FROM joined WHERE token = ?"}) {
      absl::StatusOr<Statement> rows = database_->prepare(sql);
      if (!rows.ok()) return rows.status();
      for (const std::string& id : ids) {
        if (absl::Status status = rows->bind(1, id).run(); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  });
}

absl::Status TokenStore::put(const JoinedNode& node) {
  // Thousands join at once; what the machine forgets of them joins again.
  if (absl::Status status = database_->execute("PRAGMA synchronous=NORMAL"); !status.ok()) return status;
  absl::StatusOr<Statement> put = database_->prepare("INSERT OR REPLACE INTO joined VALUES(?, ?)");
  if (!put.ok()) return put.status();
  return put->bind(1, node.token).bind(2, node.node).run();
}

}  // namespace weft::control::ca
