#pragma once

// One generation of the certificate authority: a root, which signs nothing but intermediates, and the intermediate that
// signs workloads. In files of a folder, "root.crt", "root.key", "intermediate.crt" and "intermediate.key", or given.
// Owned by the Authority, which serialises all calls.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/ca/x509.h"

namespace weft::control::ca {

struct Generation {
  // The first of them signs; those after it lead to the root, which is not among them. Empty if the root signs.
  std::vector<Certificate> intermediates;
  // All that are to be trusted; the first is this generation's own.
  std::vector<Certificate> roots;
  Key signing_key;
  // Of files in this folder, whose root can sign another intermediate; empty for one that was given.
  std::string folder;

  X509& issuer() const { return intermediates.empty() ? *roots.front() : *intermediates.front(); }
  // When the first of those that a workload's certificate hangs from ends.
  int64_t chain_not_after_ms() const;
};

// A new root (ten years) and intermediate (a year), in the folder, which is made for its owner only.
absl::StatusOr<Generation> make_generation(const std::string& folder, const std::string& trust_domain, int64_t now_ms);
// What make_generation() left there. FailedPrecondition if others may read the key.
absl::StatusOr<Generation> load_generation(const std::string& folder);
// A new intermediate in place of the one there, by the same root; when half of the old one's life is over. False: not
// needed yet, or not ours to make.
absl::StatusOr<bool> renew_intermediate(Generation& generation, int64_t now_ms);

// From files in PEM: the certificate that signs, with those that lead to its root after it, its key, and the trusted
// roots. Without `root_path`, the last certificate is the root. InvalidArgument says which file is wrong, and how.
absl::StatusOr<Generation> read_given_generation(const std::string& certificate_path, const std::string& key_path,
                                                 const std::string& root_path, int64_t now_ms);

}  // namespace weft::control::ca
