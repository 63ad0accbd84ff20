#pragma once

#include <cstdint>
#include <string_view>

// The 64-bit xxHash (XXH64): the same number for the same bytes in every process, so that all proxies that hash a
// request alike choose the same endpoint. Not for what an attacker must not foresee. Pure; any thread.

namespace weft::base {

uint64_t xxhash64(std::string_view bytes, uint64_t seed = 0);

}  // namespace weft::base
