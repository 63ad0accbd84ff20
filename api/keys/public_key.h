#pragma once

// Public keys as JSON Web Keys describe them (RFC 7517 and 7518): what a control plane takes and what a proxy does with
// it is so one thing. Compiled twice, by BoringSSL's headers and by OpenSSL's, of which a program has one. Pure; any
// thread.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct evp_pkey_st;

namespace weft::keys {

// Members of a key, as they are written; empty if they are not there.
struct JsonWebKey {
  std::string type;   // kty
  std::string curve;  // crv
  std::string use;
  std::string n, e;  // Of RSA, in base64url.
  std::string x, y;  // Of a curve; likewise.
};

enum class KeyKind : uint8_t { kRsa, kP256, kP384, kP521, kEd25519 };

struct PublicKey {
  KeyKind kind = KeyKind::kRsa;
  std::shared_ptr<evp_pkey_st> key;
};

// Unimplemented: it is of a kind, on a curve or for a use that we do not take. InvalidArgument: it is of one that we
// do, and no key that we can use; says what is wrong.
absl::StatusOr<PublicKey> read_public_key(const JsonWebKey& fields);

}  // namespace weft::keys
