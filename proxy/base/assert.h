#pragma once

// Assertions state what our own code guarantees. They are never for input: what a peer or a file says is answered with
// a status or a cause. They stay on in release builds; a false one prints itself and aborts.

namespace weft::base {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace weft::base

#define WEFT_ASSERT(expression)                                                                              \
  do {                                                                                                       \
    if (__builtin_expect(!(expression), 0)) ::weft::base::assertion_failed(#expression, __FILE__, __LINE__); \
  } while (false)
