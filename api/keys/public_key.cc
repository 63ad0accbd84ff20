#include "api/keys/public_key.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#ifdef OPENSSL_IS_BORINGSSL
#include <openssl/ec_key.h>
#include <openssl/nid.h>
#else
#include <openssl/obj_mac.h>
#endif

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/keys/freed.h"
#include "api/text/base64url.h"

namespace weft::keys {
namespace {

// RFC 7518, 3.3: smaller keys must not be used; larger ones cost more than a request may.
constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
// More than BoringSSL takes of an exponent.
constexpr int kMaxExponentBits = 33;
constexpr size_t kEd25519Bytes = 32;

struct Curve {
  std::string_view name;
  KeyKind kind;
  int nid;
  size_t coordinate_bytes;
};
constexpr Curve kCurves[] = {{"P-256", KeyKind::kP256, NID_X9_62_prime256v1, 32},
                             {"P-384", KeyKind::kP384, NID_secp384r1, 48},
                             {"P-521", KeyKind::kP521, NID_secp521r1, 66}};

using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Rsa = std::unique_ptr<RSA, Freed<RSA_free>>;
using Ec = std::unique_ptr<EC_KEY, Freed<EC_KEY_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

const uint8_t* octets(const std::string& bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

absl::Status wrong(std::string_view what) { return absl::InvalidArgumentError(std::string(what)); }

absl::StatusOr<std::string> bytes_of(const std::string& text, const char* name) {
  std::string bytes;
  if (!text.empty() && text::decode_base64url(text, &bytes) && !bytes.empty()) return bytes;
  return wrong(absl::StrCat("expected ", name, " in base64url without padding"));
}

Number number(const std::string& bytes) {
  return Number(BN_bin2bn(octets(bytes), static_cast<int>(bytes.size()), nullptr));
}

PublicKey made(KeyKind kind, Key key) { return {kind, std::shared_ptr<evp_pkey_st>(key.release(), EVP_PKEY_free)}; }

absl::StatusOr<PublicKey> rsa_key(const JsonWebKey& fields) {
  const auto modulus = bytes_of(fields.n, "n"), exponent = bytes_of(fields.e, "e");
  if (!modulus.ok()) return modulus.status();
  if (!exponent.ok()) return exponent.status();
  Number n, e;
  // What is far too long is not even read.
  if (modulus->size() <= kMaxRsaBits / 8 + 1) n = number(*modulus);
  if (exponent->size() <= 8) e = number(*exponent);
  const int bits = n == nullptr ? kMaxRsaBits + 1 : static_cast<int>(BN_num_bits(n.get()));
  if (bits < kMinRsaBits || bits > kMaxRsaBits || !BN_is_odd(n.get())) {
    return wrong(
        absl::StrCat("expected an RSA modulus n, which is odd, of ", kMinRsaBits, " to ", kMaxRsaBits, " bits"));
  }
  if (e == nullptr || BN_is_one(e.get()) || !BN_is_odd(e.get()) ||
      static_cast<int>(BN_num_bits(e.get())) > kMaxExponentBits) {
    return wrong("expected an RSA exponent e that is odd, more than 1 and of at most 33 bits, as AQAB");
  }
  Rsa rsa(RSA_new());
  Key key(EVP_PKEY_new());
  if (RSA_set0_key(rsa.get(), n.get(), e.get(), nullptr) != 1) return wrong("n and e are no RSA key");
  // They are its own now.
  (void)n.release();
  (void)e.release();
  if (EVP_PKEY_set1_RSA(key.get(), rsa.get()) != 1) return wrong("n and e are no RSA key");
  return made(KeyKind::kRsa, std::move(key));
}

absl::StatusOr<PublicKey> ec_key(const JsonWebKey& fields, const Curve& curve) {
  const auto x = bytes_of(fields.x, "x"), y = bytes_of(fields.y, "y");
  if (!x.ok()) return x.status();
  if (!y.ok()) return y.status();
  if (x->size() != curve.coordinate_bytes || y->size() != curve.coordinate_bytes) {
    return wrong(absl::StrCat("expected x and y of ", curve.coordinate_bytes, " bytes, as ", std::string(curve.name),
                              " has them; got ", x->size(), " and ", y->size()));
  }
  const Ec ec(EC_KEY_new_by_curve_name(curve.nid));
  const Number bx = number(*x), by = number(*y);
  Key key(EVP_PKEY_new());
  if (ec == nullptr || EC_KEY_set_public_key_affine_coordinates(ec.get(), bx.get(), by.get()) != 1 ||
      EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) {
    return wrong(absl::StrCat("x and y are no point of the curve ", std::string(curve.name)));
  }
  return made(curve.kind, std::move(key));
}

absl::StatusOr<PublicKey> ed25519_key(const JsonWebKey& fields) {
  const auto x = bytes_of(fields.x, "x");
  if (!x.ok()) return x.status();
  Key key(x->size() == kEd25519Bytes ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(*x), x->size())
                                     : nullptr);
  if (key == nullptr) return wrong(absl::StrCat("expected x of 32 bytes, as Ed25519 has it; got ", x->size()));
  return made(KeyKind::kEd25519, std::move(key));
}

absl::StatusOr<PublicKey> read(const JsonWebKey& fields) {
  if (fields.use.empty() || fields.use == "sig") {
    if (fields.type == "RSA") return rsa_key(fields);
    if (fields.type == "OKP" && fields.curve == "Ed25519") return ed25519_key(fields);
    for (const Curve& curve : kCurves) {
      if (fields.type == "EC" && fields.curve == curve.name) return ec_key(fields, curve);
    }
  }
  return absl::UnimplementedError("it is no RSA, EC or Ed25519 key for signatures");
}

}  // namespace

absl::StatusOr<PublicKey> read_public_key(const JsonWebKey& fields) {
  auto key = read(fields);
  // What the library noted of a key that is none is nobody's mistake but its author's.
  ERR_clear_error();
  return key;
}

}  // namespace weft::keys
