#pragma once

// SHA-256, and how digests are compared and shown. Pure; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::control::ca {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::string_view bytes);
// In a time that does not depend on where they differ.
bool equal(const Digest& a, const Digest& b);

std::string to_hex(const uint8_t* bytes, size_t size);
// False if it is not the digest's 64 hexadecimal digits.
bool from_hex(std::string_view text, Digest* out);

}  // namespace weft::control::ca
