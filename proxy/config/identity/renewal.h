#pragma once

#include <algorithm>
#include <cstdint>

#include "proxy/base/random.h"

// When a certificate is renewed. Pure; times are milliseconds since 1970.

namespace weft::config::identity {

struct Life {
  int64_t not_before_ms = 0;
  int64_t not_after_ms = 0;
  int64_t renew_at_ms = 0;  // As the authority would have it, which spreads renewals over time.

  int64_t whole_ms() const { return not_after_ms - not_before_ms; }
};

// From now until the next one is asked for. Where the authority's wish does not lie within the certificate's life as
// our clock has it, one of the two clocks is wrong: then about half of the life.
inline int64_t renewal_delay_ms(const Life& life, int64_t now_ms, base::Random& random) {
  constexpr int64_t kLeastMs = 20;
  const int64_t planned_ms = life.renew_at_ms - now_ms;
  if (planned_ms > 0 && planned_ms < life.whole_ms()) return std::max(planned_ms, kLeastMs);
  const int64_t fifth_ms = std::max<int64_t>(life.whole_ms(), 0) / 5;
  return std::max(2 * fifth_ms + static_cast<int64_t>(random.below(static_cast<uint64_t>(fifth_ms) + 1)), kLeastMs);
}

// So little is left that somebody has to look, if it could not be renewed.
inline bool is_alarming(const Life& life, int64_t now_ms) { return life.not_after_ms - now_ms < life.whole_ms() / 3; }

// Between tries to renew: the shorter the life, the more often.
inline int64_t first_retry_ms(const Life& life) { return std::clamp<int64_t>(life.whole_ms() / 50, 50, 1'000); }
inline int64_t longest_retry_ms(const Life& life) { return std::clamp<int64_t>(life.whole_ms() / 20, 500, 60'000); }

}  // namespace weft::config::identity
