#pragma once

#include <cstdint>

// Time as the proxy sees it. Everything above base/ is given a Clock and never asks the system, so that a simulation
// can run the real code. Implementations are safe to call from any thread.

namespace weft::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since some fixed point; never goes back.
  virtual int64_t monotonic_ns() = 0;
  // Nanoseconds since 1970-01-01 UTC.
  virtual int64_t wall_ns() = 0;
};

// The machine's clocks. Lives for the whole process.
Clock& system_clock();

// A clock that moves only when told. For tests and simulation.
class ManualClock : public Clock {
 public:
  int64_t monotonic_ns() override { return monotonic_ns_; }
  int64_t wall_ns() override { return wall_offset_ns_ + monotonic_ns_; }
  void advance_ns(int64_t ns) { monotonic_ns_ += ns; }
  void advance_ms(int64_t ms) { advance_ns(ms * 1'000'000); }

 private:
  int64_t monotonic_ns_ = 1'000'000'000;
  int64_t wall_offset_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace weft::base
