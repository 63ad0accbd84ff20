#include "proxy/base/clock.h"

#include <time.h>

namespace weft::base {
namespace {

int64_t read_ns(clockid_t id) {
  struct timespec time;
  clock_gettime(id, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

class SystemClock : public Clock {
 public:
  int64_t monotonic_ns() override { return read_ns(CLOCK_MONOTONIC); }
  int64_t wall_ns() override { return read_ns(CLOCK_REALTIME); }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace weft::base
