#pragma once

// JSON Web Tokens (RFC 7519) signed by keys of a JSON Web Key Set (RFC 7517), as Kubernetes gives service accounts:
// hostile bytes until the signature has been found good. Pure; any thread.
//
// RS256, RS384, RS512, PS256, PS384, PS512, ES256 and ES384, each by a key of its own kind alone; nothing symmetric,
// and no "none".

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/keys/public_key.h"
#include "control-plane/ca/x509.h"

namespace weft::control::ca {

inline constexpr size_t kMaxJwtBytes = 16 * 1024;
inline constexpr size_t kMaxJwksBytes = 256 * 1024;
inline constexpr size_t kMaxJwksKeys = 100;

struct JsonWebKey {
  // Empty if the set names none.
  std::string id;
  // The one that it is for; empty if the set does not say.
  std::string algorithm;
  keys::PublicKey key;
};

// The signing keys of a set; those of other kinds or uses are left out. InvalidArgument names `where` and the place.
absl::StatusOr<std::vector<JsonWebKey>> read_jwks(std::string_view json, const std::string& where);

struct JwtExpectations {
  std::string issuer;
  // One of the token's must be this one.
  std::string audience;
  int64_t now_ms = 0;
};

struct JwtClaims {
  std::string subject;
  // Of "kubernetes.io", if the token has it.
  std::string kubernetes_namespace;
  std::string kubernetes_service_account;
};

// Unauthenticated says what is wrong, without any of what the token holds that is not signed. NotFound: it is signed by
// a key that is not in the set.
absl::StatusOr<JwtClaims> verify_jwt(std::string_view token, const std::vector<JsonWebKey>& keys,
                                     const JwtExpectations& expected);

}  // namespace weft::control::ca
