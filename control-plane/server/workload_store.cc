#include "control-plane/server/workload_store.h"

#include <utility>

namespace weft::control::server {

using registry::Workload;
using registry::WorkloadChange;
using source::sqlite::Database;
using source::sqlite::Statement;

namespace {

constexpr char kTables[] = R"(
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS workloads(
  namespace TEXT NOT NULL, service TEXT NOT NULL, node TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL,
  app_port INTEGER NOT NULL, listening INTEGER NOT NULL, healthy INTEGER NOT NULL, reason TEXT NOT NULL,
  draining INTEGER NOT NULL, mtls INTEGER NOT NULL DEFAULT 0, takes_all_ports INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(namespace, service, node)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels(
  namespace TEXT NOT NULL, service TEXT NOT NULL, node TEXT NOT NULL, workload TEXT NOT NULL,
  service_account TEXT NOT NULL, PRIMARY KEY(namespace, service, node)) WITHOUT ROWID;
)";

// A table of before has no such column.
absl::Status add_missing_column(Database& database, const std::string& name) {
  absl::StatusOr<Statement> column =
      database.prepare("SELECT 1 FROM pragma_table_info('workloads') WHERE name = '" + name + "'");
  if (!column.ok()) return column.status();
  const absl::StatusOr<bool> is_there = column->step();
  if (!is_there.ok() || *is_there) return is_there.status();
  return database.execute(("ALTER TABLE workloads ADD COLUMN " + name + " INTEGER NOT NULL DEFAULT 0").c_str());
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkloadStore>> WorkloadStore::open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path, kTables);
  if (!database.ok()) return database.status();
  for (const char* name : {"mtls", "takes_all_ports"}) {
    if (absl::Status status = add_missing_column(**database, name); !status.ok()) return status;
  }
  return std::unique_ptr<WorkloadStore>(new WorkloadStore(*std::move(database)));
}

absl::StatusOr<std::vector<Workload>> WorkloadStore::load() {
  absl::StatusOr<Statement> rows = database_->prepare(
      "SELECT namespace, service, node, address, port, app_port, listening, healthy, reason, draining, mtls, "
      "takes_all_ports, IFNULL(labels.workload, ''), IFNULL(labels.service_account, '') FROM workloads LEFT JOIN "
      "labels USING(namespace, service, node)");
  if (!rows.ok()) return rows.status();
  std::vector<Workload> workloads;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return workloads;
    Workload workload;
    workload.name = {std::string(rows->text(0)), std::string(rows->text(1)), std::string(rows->text(2))};
    workload.address = rows->text(3);
    workload.port = static_cast<uint16_t>(rows->integer(4));
    workload.app_port = static_cast<uint16_t>(rows->integer(5));
    workload.listening = rows->integer(6) != 0;
    workload.healthy = rows->integer(7) != 0;
    workload.reason = rows->text(8);
    workload.draining = rows->integer(9) != 0;
    workload.mtls = rows->integer(10) != 0;
    workload.takes_all_ports = rows->integer(11) != 0;
    workload.labels = {std::string(rows->text(12)), std::string(rows->text(13))};
    workloads.push_back(std::move(workload));
  }
}

absl::Status WorkloadStore::write(const std::vector<WorkloadChange>& changes) {
  absl::StatusOr<Statement> put =
      database_->prepare("INSERT OR REPLACE INTO workloads VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  absl::StatusOr<Statement> erase =
      database_->prepare("DELETE FROM workloads WHERE namespace = ? AND service = ? AND node = ?");
  if (!erase.ok()) return erase.status();
  absl::StatusOr<Statement> put_labels = database_->prepare("INSERT OR REPLACE INTO labels VALUES(?, ?, ?, ?, ?)");
  if (!put_labels.ok()) return put_labels.status();
  absl::StatusOr<Statement> erase_labels =
      database_->prepare("DELETE FROM labels WHERE namespace = ? AND service = ? AND node = ?");
  if (!erase_labels.ok()) return erase_labels.status();
  for (const WorkloadChange& change : changes) {
    Statement& labels = change.workload.has_value() ? *put_labels : *erase_labels;
    labels.bind(1, change.name.namespace_name).bind(2, change.name.service).bind(3, change.name.node);
    if (change.workload.has_value()) {
      labels.bind(4, change.workload->labels.workload).bind(5, change.workload->labels.service_account);
    }
    if (absl::Status status = labels.run(); !status.ok()) return status;
    Statement& statement = change.workload.has_value() ? *put : *erase;
    statement.bind(1, change.name.namespace_name).bind(2, change.name.service).bind(3, change.name.node);
    if (change.workload.has_value()) {
      const Workload& workload = *change.workload;
      statement.bind(4, workload.address).bind(5, int64_t{workload.port}).bind(6, int64_t{workload.app_port});
      statement.bind(7, int64_t{workload.listening}).bind(8, int64_t{workload.healthy}).bind(9, workload.reason);
      statement.bind(10, int64_t{workload.draining}).bind(11, int64_t{workload.mtls});
      statement.bind(12, int64_t{workload.takes_all_ports});
    }
    if (absl::Status status = statement.run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status WorkloadStore::save(const std::vector<WorkloadChange>& changes) {
  return database_->transact([&] { return write(changes); });
}

}  // namespace weft::control::server
