#include "control-plane/server/mtls_store.h"

#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"

namespace weft::control::server {

using source::sqlite::Database;
using source::sqlite::Statement;

namespace {

// One row for each port that is not as the rest, which has port 0.
constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS calls(
  namespace TEXT NOT NULL, service TEXT NOT NULL, port INTEGER NOT NULL, plain INTEGER NOT NULL,
  mixed INTEGER NOT NULL, PRIMARY KEY(namespace, service, port)) WITHOUT ROWID;
)";

void add(uint16_t port, bool is_in, Ports* ports) {
  if (port == 0) {
    ports->rest = is_in;
  } else if (is_in != ports->rest) {
    ports->others.insert(port);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<MtlsStore>> MtlsStore::open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::open(path, kTables);
  if (!database.ok()) return database.status();
  return std::unique_ptr<MtlsStore>(new MtlsStore(*std::move(database)));
}

absl::StatusOr<std::optional<CallStates>> MtlsStore::load() {
  const absl::StatusOr<int64_t> version = database_->user_version();
  if (!version.ok()) return version.status();
  if (*version == 0) return std::nullopt;
  absl::StatusOr<Statement> rows =
      database_->prepare("SELECT namespace, service, port, plain, mixed FROM calls ORDER BY namespace, service, port");
  if (!rows.ok()) return rows.status();
  CallStates out;
  for (;;) {
    const absl::StatusOr<bool> row = rows->step();
    if (!row.ok()) return row.status();
    if (!*row) return out;
    CallState& state = out[{.namespace_name = std::string(rows->text(0)), .name = std::string(rows->text(1))}];
    const auto port = static_cast<uint16_t>(rows->integer(2));
    add(port, rows->integer(3) != 0, &state.plain);
    add(port, rows->integer(4) != 0, &state.mixed);
  }
}

absl::Status MtlsStore::write(const std::vector<CallChange>& changes) {
  if (absl::Status status = database_->execute("PRAGMA user_version = 1"); !status.ok()) return status;
  absl::StatusOr<Statement> put = database_->prepare("INSERT INTO calls VALUES(?, ?, ?, ?, ?)");
  if (!put.ok()) return put.status();
  absl::StatusOr<Statement> erase = database_->prepare("DELETE FROM calls WHERE namespace = ? AND service = ?");
  if (!erase.ok()) return erase.status();
  for (const auto& [service, state] : changes) {
    erase->bind(1, service.namespace_name).bind(2, service.name);
    if (absl::Status status = erase->run(); !status.ok()) return status;
    if (state == CallState()) continue;
    std::set<uint16_t> ports = {0};
    for (const Ports* each : {&state.plain, &state.mixed}) ports.insert(each->others.begin(), each->others.end());
    for (const uint16_t port : ports) {
      put->bind(1, service.namespace_name).bind(2, service.name).bind(3, int64_t{port});
      put->bind(4, int64_t{state.plain.contains(port)}).bind(5, int64_t{state.mixed.contains(port)});
      if (absl::Status status = put->run(); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status MtlsStore::save(const std::vector<CallChange>& changes) {
  return database_->transact([&] { return write(changes); });
}

void keep(MtlsStore& store, const std::vector<CallChange>& changes) {
  const absl::Status saved = store.save(changes);
  if (saved.ok()) return;
  base::log_warning(
      text::cat("a change of PeerAuthentications of which it is not kept how far it has come may fail "
                "calls if weft-control is restarted meanwhile: ",
                saved.message()));
}

absl::StatusOr<CallStates> restore(MtlsStore& store, const registry::Model& model) {
  absl::StatusOr<std::optional<CallStates>> known = store.load();
  if (!known.ok()) return known.status();
  CallStates out;
  std::vector<CallChange> changes;
  if (known->has_value()) {
    for (auto& [service, state] : **known) {
      if (model.services.find(service) == nullptr) {
        changes.push_back({service, {}});
      } else {
        out.emplace(service, std::move(state));
      }
    }
    if (changes.empty()) return out;
  } else {
    model.services.for_each([&](const registry::ServiceName& service, const auto&) {
      CallState state{.plain = plain_ports(model, service), .mixed = {}};
      if (service.external || state == CallState()) return;
      changes.push_back({service, state});
      out.emplace(service, std::move(state));
    });
  }
  if (absl::Status status = store.save(changes); !status.ok()) return status;
  return out;
}

}  // namespace weft::control::server
