#include "proxy/forward/websocket.h"

#include <openssl/sha.h>

#include <cstdint>
#include <cstring>

#include "absl/strings/escaping.h"

namespace weft::forward {

std::string websocket_key(base::Random& random) {
  uint64_t words[2] = {random.next(), random.next()};
  char bytes[sizeof(words)];
  std::memcpy(bytes, words, sizeof(words));
  return absl::Base64Escape({bytes, sizeof(bytes)});
}

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  return absl::Base64Escape({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

}  // namespace weft::forward
