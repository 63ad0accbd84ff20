#pragma once

// Randomness that guards secrets, injected so that tests repeat exactly. Implementations are safe to call from any
// thread.

#include <cstddef>
#include <cstdint>
#include <functional>

namespace weft::control::base {

// Fills the bytes.
using RandomBytes = std::function<void(uint8_t* out, size_t size)>;

// The operating system's.
RandomBytes system_random();

}  // namespace weft::control::base
