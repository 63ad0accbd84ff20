#pragma once

#include <cstdint>

// Numbers that nobody can guess who has seen others of them, from the crypto library: where base::Random would make a
// forgery easy. Any thread.

namespace weft::transport {

uint64_t unguessable_number();

}  // namespace weft::transport
