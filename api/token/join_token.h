#pragma once

// The text of a join token: what a proxy shows to be let in, and by which it knows whom it shows it to. Written by the
// control plane, read by both. Pure; any thread.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::token {

inline constexpr size_t kIdBytes = 8;
inline constexpr size_t kSecretBytes = 32;
inline constexpr size_t kFingerprintBytes = 32;
// How its text begins.
inline constexpr std::string_view kPrefix = "weft1_";
// The prefix, the id, the secret and the fingerprint in hexadecimal digits, "_" between.
inline constexpr size_t kTextBytes = 6 + 2 * (kIdBytes + kSecretBytes + kFingerprintBytes) + 2;

struct JoinToken {
  // 16 lower-case hexadecimal digits; no secret.
  std::string id;
  std::array<uint8_t, kSecretBytes> secret{};
  // SHA-256 of the server's certificate (DER).
  std::array<uint8_t, kFingerprintBytes> fingerprint{};

  bool operator==(const JoinToken&) const = default;
};

std::string to_text(const JoinToken& token);
// InvalidArgument says what is wrong, without any of the text. Spaces and ends of lines around it do not count.
absl::StatusOr<JoinToken> parse(std::string_view text);

}  // namespace weft::token
