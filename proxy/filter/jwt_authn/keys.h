#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/keys/public_key.h"
#include "proxy/filter/jwt_authn/token.h"

// A JSON Web Key Set (RFC 7517): the public keys of an issuer, on BoringSSL. Immutable; any thread.

namespace weft::filter {

class KeySet {
 public:
  // Keys of kinds that we do not take, and those for encryption, are left out; without any other it is an error, as is
  // what is no key set, or more than 100 keys.
  static absl::StatusOr<std::shared_ptr<const KeySet>> parse(std::string_view json);
  ~KeySet();

  // A token without a key id is tried with every key that its algorithm fits.
  TokenError verify(const Token& token) const;
  size_t size() const { return keys_.size(); }

 private:
  struct Key {
    keys::KeyKind kind = keys::KeyKind::kRsa;
    std::string id;
    std::string algorithm;  // Empty: any that is of its kind.
    std::shared_ptr<evp_pkey_st> key;
  };
  friend class KeyReader;

  KeySet() = default;
  static bool is_meant(const Key& key, const Token& token);
  static bool fits(const Key& key, const Token& token);
  static bool verifies(const Key& key, const Token& token);

  std::vector<Key> keys_;
};
using KeySetPtr = std::shared_ptr<const KeySet>;

}  // namespace weft::filter
