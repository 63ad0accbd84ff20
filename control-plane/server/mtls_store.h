#pragma once

// How services were last known to be called, so that a change of their modes goes on when the control plane starts anew
// (mtls_steps.h). A file of its own: no rollback of what people wrote touches it. Belongs to one thread.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/server/call_states.h"
#include "control-plane/source/sqlite/database.h"

namespace weft::control::server {

class MtlsStore {
 public:
  // Creates the file if there is none; ":memory:" keeps nothing. Errors are Database's.
  static absl::StatusOr<std::unique_ptr<MtlsStore>> open(const std::string& path);

  // Nothing if nothing was ever saved.
  absl::StatusOr<std::optional<CallStates>> load();
  // All or none, and on the disk when it returns.
  absl::Status save(const std::vector<CallChange>& changes);

 private:
  explicit MtlsStore(std::unique_ptr<source::sqlite::Database> database) : database_(std::move(database)) {}
  absl::Status write(const std::vector<CallChange>& changes);

  std::unique_ptr<source::sqlite::Database> database_;
};

// Saves the changes of a step. Where that cannot be done, as the disk is full, it is told in the log, and the step goes
// on: a mode that people asked for is in force all the same, and what is less safe then is a restart alone.
void keep(MtlsStore& store, const std::vector<CallChange>& changes);

// What a control plane that starts with this model goes by. Where nothing was ever saved, as by a control plane of
// before, all are taken to be called as the model says. Services that are gone are forgotten.
absl::StatusOr<CallStates> restore(MtlsStore& store, const registry::Model& model);

}  // namespace weft::control::server
