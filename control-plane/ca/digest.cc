#include "control-plane/ca/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "absl/strings/escaping.h"

namespace weft::control::ca {

Digest sha256(std::string_view bytes) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

bool equal(const Digest& a, const Digest& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string to_hex(const uint8_t* bytes, size_t size) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(bytes), size});
}

bool from_hex(std::string_view text, Digest* out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() != 2 * out->size() || text.find_first_not_of(kDigits) != std::string_view::npos) return false;
  const std::string bytes = absl::HexStringToBytes({text.data(), text.size()});
  for (size_t i = 0; i < out->size(); ++i) (*out)[i] = static_cast<uint8_t>(bytes[i]);
  return true;
}

}  // namespace weft::control::ca
