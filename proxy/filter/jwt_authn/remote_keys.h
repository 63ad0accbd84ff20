#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/call/http_call.h"
#include "proxy/filter/jwt_authn/key_source.h"
#include "proxy/observe/metrics.h"
#include "proxy/observe/stats.h"

// Keys that a server tells (a JWKS endpoint): asked for when a token needs them, kept for a while by each worker, and
// asked for again by backoff when the answer was no good, as long as a request waits.

namespace weft::filter {

// Prefix "http.STAT_PREFIX.jwt_authn.".
#define WEFT_JWT_METRICS(X)           \
  X(Counter, allowed)                 \
  X(Counter, denied)                  \
  X(Counter, cors_preflight_bypassed) \
  X(Counter, jwks_fetch_success)      \
  X(Counter, jwks_fetch_failed)
WEFT_STATS(JwtStats, WEFT_JWT_METRICS)
using JwtStatsFamily = std::shared_ptr<observe::Family<JwtStats>>;

struct RemoteKeysConfig {
  std::string cluster;
  std::string authority;
  std::string path;
  int64_t timeout_ms = 1000;
  int64_t keep_ms = 600'000;
  uint32_t retries = 1;
  int64_t back_off_base_ms = 200;
  int64_t back_off_max_ms = 2'000;
};

class RemoteKeys final : public KeySource {
 public:
  RemoteKeys(RemoteKeysConfig config, JwtStatsFamily stats, uint32_t workers);
  ~RemoteKeys() override;

  KeySetPtr at_hand(uint32_t worker, int64_t now_ms) override;
  void wait(pool::WorkerContext& context, KeyWaiter& waiter) override;
  void left(uint32_t worker) override;

 private:
  class Fetch;
  struct OfWorker {
    KeySetPtr keys;
    int64_t expires_ms = 0;
    base::IntrusiveList<KeyWaiter, KeyWaiter> waiters;
    std::unique_ptr<Fetch> fetch;  // Only while somebody waits.
  };

  // nullptr: there are none to be had now.
  void on_fetched(pool::WorkerContext& context, KeySetPtr keys);

  const RemoteKeysConfig config_;
  const JwtStatsFamily stats_;
  std::vector<OfWorker> of_worker_;
};

}  // namespace weft::filter
