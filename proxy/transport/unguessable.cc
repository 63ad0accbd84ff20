#include "proxy/transport/unguessable.h"

#include <openssl/rand.h>

namespace weft::transport {

uint64_t unguessable_number() {
  uint64_t number = 0;
  // It ends the process rather than fail.
  RAND_bytes(reinterpret_cast<uint8_t*>(&number), sizeof(number));
  return number;
}

}  // namespace weft::transport
