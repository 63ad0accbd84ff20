#pragma once

// The certificate signing requests that workloads send: hostile bytes, of which only the public key is taken. Pure; any
// thread.

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "control-plane/ca/x509.h"

namespace weft::control::ca {

inline constexpr size_t kMaxRequestBytes = 16 * 1024;

// The key of a request (RFC 2986, DER), which its signature shows to be the sender's. InvalidArgument says what is
// wrong: no request, more than kMaxRequestBytes, bytes after it, a signature of another key or by SHA-1 or MD5, a key
// that is neither ECDSA on P-256 or P-384, nor RSA of 2048 to 4096 bits, nor Ed25519.
absl::StatusOr<Key> read_request(std::string_view der);

}  // namespace weft::control::ca
