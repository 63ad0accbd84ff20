#pragma once

// Time as the control plane sees it. Everything is given a Clock and never asks the system, so that a simulation can
// run the real code. Implementations are safe to call from any thread.

#include <cstdint>

namespace weft::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01 UTC.
  virtual int64_t wall_ms() = 0;
};

// The machine's clock. Lives for the whole process.
Clock& system_clock();

}  // namespace weft::base
