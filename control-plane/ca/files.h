#pragma once

// Files of keys and certificates: read whole, written never half and for their owner only. Any thread.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::control::ca {

// NotFound if it cannot be read.
absl::StatusOr<std::string> read_file(const std::string& path);
// The same for a key: FailedPrecondition if others than its owner may read it.
absl::StatusOr<std::string> read_private_file(const std::string& path);
// For the owner only (0600), and on the disk when it returns. Unavailable if it cannot be written.
absl::Status write_private_file(const std::string& path, const std::string& text);

}  // namespace weft::control::ca
