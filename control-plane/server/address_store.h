#pragma once

// Which virtual address is which service's, so that it stays so when the control plane starts anew. A file of its own:
// no rollback of what people wrote touches it. Belongs to one thread.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/registry/virtual_addresses.h"
#include "control-plane/source/sqlite/database.h"

namespace weft::control::server {

class AddressStore {
 public:
  // Creates the file if there is none; ":memory:" keeps nothing. Errors are Database's.
  static absl::StatusOr<std::unique_ptr<AddressStore>> open(const std::string& path);

  absl::StatusOr<std::vector<registry::VirtualAddresses::Assignment>> load();
  // All or none.
  absl::Status save(const std::vector<registry::VirtualAddresses::Change>& changes);

 private:
  explicit AddressStore(std::unique_ptr<source::sqlite::Database> database) : database_(std::move(database)) {}
  absl::Status write(const std::vector<registry::VirtualAddresses::Change>& changes);

  std::unique_ptr<source::sqlite::Database> database_;
  // Prepared by the first write.
  std::optional<source::sqlite::Statement> put_;
  std::optional<source::sqlite::Statement> erase_;
};

}  // namespace weft::control::server
