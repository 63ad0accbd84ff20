#pragma once

// The certificate authority of the mesh: signs workloads' certificates, knows its own, and replaces its root in steps
// in which old and new are trusted side by side. It keeps its keys in files of a folder, for their owner only, or is
// given a signing certificate and has no root of its own to replace.
//
// A rotation: begin() makes a new root, which everybody is told to trust; switch_signing() lets it sign, which is safe
// once all proxies trust it; finish() forgets the old one, which is safe once nothing that lives hangs from it. Whether
// it is safe is for the caller to find out; the authority only keeps the order.
//
// Safe to call from any thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/base/random.h"
#include "control-plane/ca/authority_store.h"
#include "control-plane/ca/generation.h"
#include "control-plane/ca/spiffe.h"

namespace weft::control::ca {

class Authority {
 public:
  static constexpr int64_t kDefaultTtlMs = int64_t{24} * 3'600'000;
  static constexpr int64_t kMaxTtlMs = int64_t{90} * 24 * 3'600'000;
  // As old as a certificate claims to be when it is issued: clocks differ.
  static constexpr int64_t kSkewMs = 300'000;

  struct Options {
    // Of generations, one folder each.
    std::string folder;
    std::string trust_domain = "cluster.local";
    // How long a workload's certificate lives.
    int64_t ttl_ms = kDefaultTtlMs;
    // A signing certificate that is given, in place of one's own: all but the last, or none.
    std::string certificate_path;
    std::string key_path;
    std::string root_path;
  };
  // Who asks, for the log; all but the identity is in IssuedRecord's words.
  struct Applicant {
    Identity identity;
    std::string node;
    std::string peer;
    std::string origin;
    std::string shown;
  };
  struct Signed {
    // The workload's certificate first, then intermediates, without the root.
    std::vector<std::string> chain_der;
    std::string spiffe_id;
    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
    // When to ask for the next one; spread between half and two thirds of its life.
    int64_t renew_at_ms = 0;
  };
  struct MadePair {
    std::string chain_pem;
    std::string key_pem;
    Signed signed_;
  };
  // Who shows a certificate of ours.
  struct Peer {
    Identity identity;
    std::string serial;
    std::string origin;
    int64_t not_after_ms = 0;
  };
  struct Standing {
    struct Each {
      GenerationRecord record;
      std::string root_sha256;
      int64_t root_not_after_ms = 0;
      // When what workloads' certificates hang from ends.
      int64_t chain_not_after_ms = 0;
      int64_t live_certificates = 0;
    };
    std::string trust_domain;
    bool is_given = false;
    int64_t ttl_ms = 0;
    // The oldest first.
    std::vector<Each> generations;
  };
  struct Counts {
    uint64_t issued = 0;
    // Issued, and not in the log, which could not be written.
    uint64_t unlogged = 0;
    // When what new certificates hang from ends.
    int64_t chain_not_after_ms = 0;
  };

  // Reads what there is, or makes it. `clock` outlives it.
  static absl::StatusOr<std::unique_ptr<Authority>> open(Options options, std::unique_ptr<AuthorityStore> store,
                                                         base::Clock& clock, base::RandomBytes random);

  // For this key, which the applicant has shown to be his. FailedPrecondition once the authority's own certificate has
  // ended.
  absl::StatusOr<Signed> sign(const Applicant& applicant, EVP_PKEY& key);
  // With a key that is made here.
  absl::StatusOr<MadePair> make_pair(const Applicant& applicant);

  // Whose certificate (PEM) it is. Unauthenticated says why it is none of ours, or no more. `chain_pem` is what was
  // sent after it, and may be empty.
  absl::StatusOr<Peer> verify(std::string_view certificate_pem, std::string_view chain_pem) const;

  // All trusted roots, PEM.
  std::string roots_pem() const;
  // Called with what roots_pem() is after each change, on the thread that makes it; it must not call back.
  void set_on_roots(std::function<void(const std::string& roots_pem)> on_roots);

  // FailedPrecondition out of order, or if the signing certificate was given; else files' and the store's.
  absl::Status begin_rotation();
  absl::Status switch_signing();
  absl::Status finish_rotation();

  absl::StatusOr<Standing> standing() const;
  // The newest first; only of this SPIFFE ID or node if it is not empty.
  absl::StatusOr<std::vector<IssuedRecord>> issued(const std::string& spiffe_id_or_node, int64_t limit) const;
  Counts counts() const;
  const std::string& trust_domain() const { return options_.trust_domain; }

 private:
  struct Entry {
    GenerationRecord record;
    Generation generation;
  };

  Authority(Options options, std::unique_ptr<AuthorityStore> store, base::Clock& clock, base::RandomBytes random)
      : options_(std::move(options)), store_(std::move(store)), clock_(clock), random_(std::move(random)) {}

  absl::Status start();
  // Keys of dropped roots, which an earlier process could not remove.
  void remove_dropped() const;
  absl::StatusOr<Entry> make_entry(int64_t id, Stage stage);
  std::string folder_of(int64_t id) const;
  // Keeps the stages as they are now.
  absl::Status save() const;
  Entry& at(Stage stage);
  const Entry& signing() const;
  bool has(Stage stage) const;
  std::string roots_pem_locked() const;
  void tell_roots();
  absl::StatusOr<Signed> sign_locked(const Applicant& applicant, EVP_PKEY& key);
  int64_t renew_at(int64_t now_ms, int64_t not_after_ms);

  const Options options_;
  mutable std::mutex mutex_;
  const std::unique_ptr<AuthorityStore> store_;
  base::Clock& clock_;
  const base::RandomBytes random_;
  std::function<void(const std::string& roots_pem)> on_roots_;
  // The oldest first.
  std::vector<Entry> entries_;
  Counts counts_;
};

}  // namespace weft::control::ca
