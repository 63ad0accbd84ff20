#pragma once

#include <cstdint>

// Randomness for balancing, jitter and request ids, injected so that a simulation repeats exactly. Not for keys or
// other secrets: those come from BoringSSL. An object belongs to one thread.

namespace weft::base {

class Random {
 public:
  // xoshiro256**, its state spread from the seed by splitmix64.
  explicit Random(uint64_t seed);

  uint64_t next();
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  // Uniform in [0, 1).
  double fraction() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_[4];
};

// A seed from the operating system.
uint64_t system_seed();

}  // namespace weft::base
