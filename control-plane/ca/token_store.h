#pragma once

// Where join tokens are kept: a file of its own, which no rollback of the mesh's objects touches. Not synchronised: its
// owner serialises all calls.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/ca/digest.h"
#include "control-plane/source/sqlite/database.h"

namespace weft::control::ca {

struct TokenRecord {
  std::string id;
  Digest secret_sha256{};
  std::string namespace_name;
  // Empty: any of the namespace.
  std::string service;
  // All since the epoch.
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  // How many nodes may come in by it.
  uint32_t uses = 0;
  // 0: it is not.
  int64_t revoked_ms = 0;
};

// A node that came in by a token.
struct JoinedNode {
  std::string token;
  std::string node;
};

class TokenStore {
 public:
  // Creates the file if there is none; ":memory:" keeps nothing. Errors are Database's.
  static absl::StatusOr<std::unique_ptr<TokenStore>> open(const std::string& path);

  absl::StatusOr<std::vector<TokenRecord>> load_tokens();
  absl::StatusOr<std::vector<JoinedNode>> load_nodes();
  // In place of what stands under the id. On the disk when it returns.
  absl::Status put(const TokenRecord& record);
  // Survives the process being killed.
  absl::Status put(const JoinedNode& node);
  // These tokens, and who came in by them.
  absl::Status remove(const std::vector<std::string>& ids);

 private:
  explicit TokenStore(std::unique_ptr<source::sqlite::Database> database) : database_(std::move(database)) {}

  std::unique_ptr<source::sqlite::Database> database_;
};

}  // namespace weft::control::ca
