#pragma once

// Who a Kubernetes service account's token says that its bearer is, by the keys of the cluster's issuer, which are read
// again when they are old, or when a token names one that is not among them. Safe to call from any thread; a call may
// wait for the keys to be fetched, and only one does at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/ca/jwt.h"
#include "control-plane/ca/spiffe.h"

namespace weft::control::ca {

class ServiceAccounts {
 public:
  // How long keys count as fresh, and how soon they may be read again for a token whose key is not known.
  static constexpr int64_t kFreshMs = 300'000;
  static constexpr int64_t kLeastMs = 10'000;

  // The key set's JSON.
  using Fetch = std::function<absl::StatusOr<std::string>()>;

  // `where` names what `fetch` reads, for messages. `clock` outlives it.
  ServiceAccounts(std::string issuer, std::string audience, std::string where, Fetch fetch, base::Clock& clock)
      : issuer_(std::move(issuer)),
        audience_(std::move(audience)),
        where_(std::move(where)),
        fetch_(std::move(fetch)),
        clock_(clock) {}

  // Reads the keys; an error leaves those that were there.
  absl::Status load();

  // Of "system:serviceaccount:NAMESPACE:NAME". Unauthenticated says what is wrong; Unavailable: the keys cannot be had.
  absl::StatusOr<Identity> authenticate(std::string_view token);

 private:
  using Keys = std::shared_ptr<const std::vector<JsonWebKey>>;

  Keys keys(int64_t* loaded_ms) const;
  absl::StatusOr<Identity> verify(std::string_view token, const std::vector<JsonWebKey>& keys) const;

  const std::string issuer_;
  const std::string audience_;
  const std::string where_;
  const Fetch fetch_;
  base::Clock& clock_;
  // Held by who fetches.
  std::mutex loading_;
  mutable std::mutex mutex_;
  Keys keys_ = std::make_shared<std::vector<JsonWebKey>>();
  // By the monotonic clock, of the last try.
  int64_t loaded_ms_ = INT64_MIN / 2;
};

}  // namespace weft::control::ca
