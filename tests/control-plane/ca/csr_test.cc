#include "control-plane/ca/csr.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "tests/control-plane/ca/authority_fixture.h"

namespace weft::control::ca {
namespace {

std::string mistake(std::string_view der) {
  const absl::Status status = read_request(der).status();
  CHECK((status.ok() || status.code() == absl::StatusCode::kInvalidArgument));
  return std::string(status.message());
}

TEST_CASE("of a signing request its key is taken where it is strong and has signed it") {
  const Key p256(EVP_EC_gen("P-256"));
  const Key p384(EVP_EC_gen("P-384"));
  const Key ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Key rsa(EVP_RSA_gen(2048));
  for (EVP_PKEY* key : {p256.get(), p384.get(), rsa.get()}) CHECK(mistake(request_der(*key, *key)).empty());
  CHECK(mistake(request_der(*ed25519, *ed25519, nullptr)).empty());
  const auto taken = read_request(request_der(*p256, *p256));
  REQUIRE(taken.ok());
  CHECK(EVP_PKEY_eq(taken->get(), p256.get()) == 1);
}

TEST_CASE("a signing request by another key, a weak one, or that is none is refused") {
  const Key key(EVP_EC_gen("P-256"));
  const Key other(EVP_EC_gen("P-256"));
  const Key short_rsa(EVP_RSA_gen(1024));
  const Key small_curve(EVP_EC_gen("P-224"));
  const std::string good = request_der(*key, *key);
  CHECK_THAT(mistake(request_der(*key, *other)), Catch::Contains("its signature is not by its key"));
  CHECK_THAT(mistake(request_der(*short_rsa, *short_rsa)), Catch::Contains("its key is RSA of 1024 bits"));
  CHECK_THAT(mistake(request_der(*small_curve, *small_curve)), Catch::Contains("on the curve \"secp224r1\""));
  CHECK_THAT(mistake(request_der(*key, *key, EVP_sha1())), Catch::Contains("too weak"));
  CHECK_THAT(mistake(""), Catch::Contains("is missing"));
  CHECK_THAT(mistake("weft"), Catch::Contains("is no signing request in DER"));
  CHECK_THAT(mistake(good + "x"), Catch::Contains("has bytes after"));
  CHECK_THAT(mistake(std::string(20'000, '0')), Catch::Contains("has 20000 bytes; expected at most 16384"));
  // Every cut and every changed byte is refused, and none breaks anything.
  for (size_t i = 0; i < good.size(); ++i) {
    CHECK_FALSE(mistake(std::string_view(good).substr(0, i)).empty());
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(mistake(changed).empty());
  }
}

}  // namespace
}  // namespace weft::control::ca
