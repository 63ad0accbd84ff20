#include "control-plane/ca/csr.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include <string>

#include "api/text/cat.h"

namespace weft::control::ca {

using text::cat;

namespace {

constexpr int kMinRsaBits = 2048;
// What checking costs grows with the key's size; nobody needs larger ones.
constexpr int kMaxRsaBits = 4096;
constexpr char kExpectedKey[] = "expected ECDSA on P-256 or P-384, RSA of 2048 to 4096 bits, or Ed25519";

absl::Status wrong(std::string_view what) { return absl::InvalidArgumentError(cat("csr: ", what)); }

// A large public exponent makes a signature's check as costly as signing.
bool has_usual_exponent(const EVP_PKEY& key) {
  BIGNUM* exponent = nullptr;
  const bool is_read = EVP_PKEY_get_bn_param(&key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1;
  const bool is_usual = is_read && BN_is_word(exponent, RSA_F4) == 1;
  BN_free(exponent);
  return is_usual;
}

absl::Status check_key(const EVP_PKEY& key) {
  switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_EC: {
      char group[64] = "";
      size_t size = 0;
      if (EVP_PKEY_get_group_name(&key, group, sizeof(group), &size) != 1) group[0] = '\0';
      const int nid = OBJ_sn2nid(group);
      int is_explicit = 0;
      EVP_PKEY_get_int_param(&key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit);
      if (is_explicit != 0) return wrong("its key says its curve by parameters; expected the curve's name");
      if (nid == NID_X9_62_prime256v1 || nid == NID_secp384r1) return absl::OkStatus();
      return wrong(cat("its key is on the curve \"", std::string(group), "\"; ", std::string(kExpectedKey)));
    }
    case EVP_PKEY_RSA: {
      const int bits = EVP_PKEY_get_bits(&key);
      if (bits < kMinRsaBits || bits > kMaxRsaBits) {
        return wrong(cat("its key is RSA of ", bits, " bits; ", std::string(kExpectedKey)));
      }
      if (!has_usual_exponent(key)) return wrong("its RSA key has another public exponent than 65537");
      return absl::OkStatus();
    }
    case EVP_PKEY_ED25519:
      return absl::OkStatus();
    default:
      return wrong(cat("its key is of another kind; ", std::string(kExpectedKey)));
  }
}

bool is_weak_digest(int nid) { return nid == NID_md5 || nid == NID_sha1 || nid == NID_md4 || nid == NID_md5_sha1; }

}  // namespace

absl::StatusOr<Key> read_request(std::string_view der) {
  if (der.empty()) return wrong("is missing; expected a signing request in DER");
  if (der.size() > kMaxRequestBytes) {
    return wrong(cat("has ", der.size(), " bytes; expected at most ", kMaxRequestBytes));
  }
  const unsigned char* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = at + der.size();
  const CertificateRequest request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (request == nullptr) return wrong(cat("is no signing request in DER: ", library_error()));
  if (at != end) return wrong("has bytes after the signing request");
  Key key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr) return wrong(cat("its key cannot be read: ", library_error()));
  // Before the signature: what is too weak, or too costly to check, is not checked.
  if (absl::Status status = check_key(*key); !status.ok()) {
    ERR_clear_error();
    return status;
  }
  int digest = NID_undef;
  if (OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request.get()), &digest, nullptr) != 1 || is_weak_digest(digest)) {
    ERR_clear_error();
    return wrong("its signature is by a digest that is not known or too weak; expected SHA-256 or better");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    ERR_clear_error();
    return wrong("its signature is not by its key");
  }
  return key;
}

}  // namespace weft::control::ca
