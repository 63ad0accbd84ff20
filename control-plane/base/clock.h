#pragma once

// Time as the control plane sees it. Everything is given a Clock and never asks the system, so that a simulation can
// run the real code. Implementations are safe to call from any thread.

#include <cstdint>

namespace weft::control::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01 UTC.
  virtual int64_t wall_ms() = 0;
  // Milliseconds since some fixed point; never goes back.
  virtual int64_t monotonic_ms() = 0;
};

// The machine's clock. Lives for the whole process.
Clock& system_clock();

// A clock that moves only when told. For tests and simulation.
class ManualClock : public Clock {
 public:
  int64_t wall_ms() override { return kStartMs + elapsed_ms_; }
  int64_t monotonic_ms() override { return elapsed_ms_; }
  void advance_ms(int64_t ms) { elapsed_ms_ += ms; }

 private:
  static constexpr int64_t kStartMs = 1'700'000'000'000;
  int64_t elapsed_ms_ = 0;
};

}  // namespace weft::control::base
