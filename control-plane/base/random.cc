#include "control-plane/base/random.h"

#include <sys/random.h>

#include <algorithm>

namespace weft::control::base {

namespace {

// Of so many bytes getrandom() always gives all, once the system's pool has begun.
constexpr size_t kPart = 256;

}  // namespace

RandomBytes system_random() {
  return [](uint8_t* out, size_t size) {
    while (size > 0) {
      const ssize_t got = getrandom(out, std::min(size, kPart), 0);
      if (got <= 0) continue;
      out += got;
      size -= static_cast<size_t>(got);
    }
  };
}

}  // namespace weft::control::base
