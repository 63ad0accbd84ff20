#include "control-plane/server/address_store.h"

#include <cstdint>
#include <utility>

namespace weft::control::server {

using registry::VirtualAddresses;
using source::sqlite::Database;
using source::sqlite::Statement;

namespace {

constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS addresses(
  namespace TEXT NOT NULL, service TEXT NOT NULL, external INTEGER NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY(namespace, service, external)) WITHOUT ROWID;
)";

}  // namespace

absl::StatusOr<std::unique_ptr<AddressStore>> AddressStore::open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path, kTables);
  if (!database.ok()) return database.status();
  // A lost power supply may take the last of them, which are then mostly found again (virtual_addresses.cc).
  if (absl::Status status = (*database)->wait_for_no_disk(); !status.ok()) return status;
  return std::unique_ptr<AddressStore>(new AddressStore(*std::move(database)));
}

absl::StatusOr<std::vector<VirtualAddresses::Assignment>> AddressStore::load() {
  absl::StatusOr<Statement> rows = database_->prepare("SELECT namespace, service, external, number FROM addresses");
  if (!rows.ok()) return rows.status();
  std::vector<VirtualAddresses::Assignment> out;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return out;
    VirtualAddresses::Assignment each;
    each.service = {std::string(rows->text(0)), std::string(rows->text(1)), rows->integer(2) != 0};
    each.number = static_cast<uint16_t>(rows->integer(3));
    out.push_back(std::move(each));
  }
}

absl::Status AddressStore::write(const std::vector<VirtualAddresses::Change>& changes) {
  absl::Status prepared = database_->prepare_once("INSERT OR REPLACE INTO addresses VALUES(?, ?, ?, ?)", put_);
  if (!prepared.ok()) return prepared;
  prepared =
      database_->prepare_once("DELETE FROM addresses WHERE namespace = ? AND service = ? AND external = ?", erase_);
  if (!prepared.ok()) return prepared;
  for (const VirtualAddresses::Change& change : changes) {
    Statement& statement = change.number.has_value() ? *put_ : *erase_;
    statement.bind(1, change.service.namespace_name).bind(2, change.service.name);
    statement.bind(3, int64_t{change.service.external});
    if (change.number.has_value()) statement.bind(4, int64_t{*change.number});
    if (absl::Status status = statement.run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AddressStore::save(const std::vector<VirtualAddresses::Change>& changes) {
  if (changes.empty()) return absl::OkStatus();
  return database_->transact([&] { return write(changes); });
}

}  // namespace weft::control::server
