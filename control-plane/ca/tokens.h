#pragma once

// The join tokens: who made which, what each is good for, and whether a node may come in by one. A token is 256 random
// bits, of which only the SHA-256 is kept; it belongs to a namespace, and perhaps to one service of it.
//
// A token is for joining: until it expires, and as often as it says, new nodes may come in by it. A node that has come
// in by it may come back by it until it is revoked, so that a mesh outlives the restart of its control plane.
//
// Safe to call from any thread.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/base/random.h"
#include "control-plane/ca/digest.h"
#include "control-plane/ca/token_store.h"

namespace weft::control::ca {

// Why a stream is refused; the order of kRefusalNames.
enum class Refusal : uint8_t { kNoToken, kNoSuchToken, kRevoked, kExpired, kUsedUp, kNamespace, kService };
inline constexpr std::array<std::string_view, 7> kRefusalNames = {"no token", "no such token", "revoked", "expired",
                                                                  "used up",  "namespace",     "service"};

// What stands after "Bearer " in an authorization header; nothing if it is of another scheme or empty.
std::optional<std::string_view> bearer_of(std::string_view authorization);

class Tokens {
 public:
  struct Request {
    std::string namespace_name;
    // Empty: any of the namespace.
    std::string service;
    int64_t ttl_ms = 0;
    // How many nodes may come in by it; 0: as many as one token may bring, kMaxNodes.
    uint32_t uses = 0;
  };
  struct Claims {
    std::string namespace_name;
    std::string service;
    std::string node;
  };
  struct Listed {
    TokenRecord record;
    // "active", "expired", "used up" or "revoked"; only of an active one new nodes come in.
    std::string_view state;
    size_t nodes = 0;
  };
  static constexpr uint32_t kMaxNodes = 65'536;
  static constexpr size_t kMaxTokens = 10'000;
  static constexpr int64_t kMaxTtlMs = int64_t{10} * 365 * 24 * 3600 * 1000;
  // For so long a revoked token is remembered, and one that expired without a node having come in by it. It is longer
  // than any certificate lives that came of a token, for these are revoked with it.
  static constexpr int64_t kRememberedMs = int64_t{100} * 24 * 3600 * 1000;

  // Reads what the store has. `clock` outlives it.
  static absl::StatusOr<std::unique_ptr<Tokens>> create(std::unique_ptr<TokenStore> store, base::Clock& clock,
                                                        base::RandomBytes random);

  // Called with the id of each token that is revoked, on the thread that revokes.
  void set_on_revoked(std::function<void(const std::string& id)> on_revoked) { on_revoked_ = std::move(on_revoked); }

  // The token's text, which nobody can be told again. `fingerprint` is the server's that it leads to. InvalidArgument,
  // ResourceExhausted, or the store's.
  absl::StatusOr<std::string> issue(const Request& request, const Digest& fingerprint);
  // NotFound, or the store's.
  absl::Status revoke(const std::string& id);
  // By the time at which they were made.
  std::vector<Listed> list() const;
  // False also for one that is not known.
  bool is_revoked(const std::string& id) const;

  // The id of the token that stands in an authorization header ("Bearer weft1_…"). Unauthenticated without one that is
  // good; whether the node may come in is for admit() to say.
  absl::StatusOr<std::string> authenticate(std::string_view authorization);
  // Whether a node may come in by this token, which it showed: PermissionDenied if it is not for what the node claims
  // to be, Unauthenticated if it is not good any more. That the node has come in is then kept.
  absl::Status admit(const std::string& id, const Claims& claims);

  // Streams refused since the start, by Refusal.
  std::array<uint64_t, kRefusalNames.size()> refused() const;

 private:
  struct Entry {
    TokenRecord record;
    std::set<std::string> nodes;
  };

  Tokens(std::unique_ptr<TokenStore> store, base::Clock& clock, base::RandomBytes random)
      : store_(std::move(store)), clock_(clock), random_(std::move(random)) {}
  absl::Status refuse(Refusal refusal, absl::StatusCode code, const std::string& message);
  // Those that have been good for nothing for long.
  absl::Status forget_old();
  std::string_view state_of(const Entry& entry) const;

  mutable std::mutex mutex_;
  const std::unique_ptr<TokenStore> store_;
  base::Clock& clock_;
  const base::RandomBytes random_;
  std::function<void(const std::string& id)> on_revoked_;
  std::map<std::string, Entry> tokens_;
  std::array<uint64_t, kRefusalNames.size()> refused_{};
};

}  // namespace weft::control::ca
