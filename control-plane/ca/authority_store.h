#pragma once

// What the certificate authority keeps beside its keys: which generations of it there are and how each stands, and the
// log of what was issued, of which the newest stay. A file of its own. Not synchronised: its owner
// serialises all calls.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/source/sqlite/database.h"

namespace weft::control::ca {

// How a root stands in its life, in this order.
enum class Stage : uint8_t {
  // Proxies are told to trust it, and nothing is signed below it yet.
  kTrusted,
  // Certificates are signed below it.
  kSigning,
  // Others sign; what was signed below it lives on.
  kRetiring,
};

// "trusted", "signing" or "retiring".
std::string_view stage_name(Stage stage);

struct GenerationRecord {
  // 0: the one that was given by options; it is never stored.
  int64_t id = 0;
  Stage stage = Stage::kSigning;
  int64_t created_ms = 0;
  // When the last certificate below it ends; 0 if there was none.
  int64_t last_not_after_ms = 0;
};

// One certificate, as it was issued. Times are since the epoch.
struct IssuedRecord {
  // Upper-case hexadecimal digits.
  std::string serial;
  std::string spiffe_id;
  // The node that asked, by its own word, and from where it did.
  std::string node;
  std::string peer;
  // By what it came in first (origin.h).
  std::string origin;
  // By what it was asked for: "token", "certificate", "kubernetes", "secret".
  std::string shown;
  int64_t generation = 0;
  int64_t issued_ms = 0;
  int64_t not_before_ms = 0;
  int64_t not_after_ms = 0;
};

class AuthorityStore {
 public:
  static constexpr int64_t kMaxIssued = 100'000;

  // Creates the file if there is none; ":memory:" keeps nothing. Errors are Database's. `max_issued` bounds the log.
  static absl::StatusOr<std::unique_ptr<AuthorityStore>> open(const std::string& path, int64_t max_issued = kMaxIssued);

  // By id.
  absl::StatusOr<std::vector<GenerationRecord>> load_generations();
  // All of them as one change, on the disk when it returns; what is not among them is gone.
  absl::Status save_generations(const std::vector<GenerationRecord>& generations);

  // Appends, and forgets the oldest beyond the bound. Survives the process being killed.
  absl::Status append(const IssuedRecord& record);
  // Whose ends are later than `now_ms`, of one generation.
  absl::StatusOr<int64_t> count_live(int64_t generation, int64_t now_ms);
  // The newest first; only of this SPIFFE ID or node if it is not empty.
  absl::StatusOr<std::vector<IssuedRecord>> list(const std::string& spiffe_id_or_node, int64_t limit);

 private:
  AuthorityStore(std::unique_ptr<source::sqlite::Database> database, int64_t max_issued)
      : database_(std::move(database)), max_issued_(max_issued) {}
  absl::Status write_generations(const std::vector<GenerationRecord>& generations);
  absl::Status write_issued(const IssuedRecord& record);
  // All of `work`, or nothing.
  template <typename Work>
  absl::Status transact(const char* pragma, Work&& work);

  std::unique_ptr<source::sqlite::Database> database_;
  const int64_t max_issued_;
};

}  // namespace weft::control::ca
