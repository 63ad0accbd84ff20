#include "api/keys/public_key.h"

#include <catch2/catch.hpp>
#include <utility>

namespace weft::keys {
namespace {

constexpr char kModulus[] =
    "7kVP8gHxRknBYqeJKinTQP3gcolVKiUZicVp1FjNF4r-LSk4mNLs2sZmxQLdaD-FUvknhBStjEZf1MFTZWtdGY8cPE"
    "N2QrMW67VEz3KfD2c1Qb92MmlClYyj6NSWLPZhwbNCrxjA7FV1GPIiZXYKLaj6dqOse0cc1xk7XlMuB1pMxHNrIqoa"
    "E4YZ7KMAgbxYDlgtxfIGoOTek-qCuQi20a0S4r7_6a_G9ThCFm2lCrJy7_8UK_X86ag1AW_1-us2tTmVbSKZ9fB0xj"
    "vLhOvJdm5Z7kmMl7Pi41m-aaoltEfEikXhveeQ3D881T-l_4pkaXFk2MpZbfVZ3hr6ZOht2Q";
constexpr char kShortModulus[] =
    "0TeG1gMSOycJk637hZNiI2h4No_OyAdLehVo6hsdgVMY3XAeF_ruSbq5ukN9yALQaq_IDky4YHAfW1eg4v5PLX6tUr"
    "3hBiXnDERdy4LM-H8fA3i05-F4-eJx9xnHTh4om8a13qfj-FklOzwr8Jm9dDzyk_FPEUzXX6xebke8lF8";
constexpr std::pair<const char*, const char*> kP256 = {"esWBi92EG4bnEoOAt2Y4S8zGOWBtUQkd05NXucrDFN4",
                                                       "Jxf_s_WkWDS1avGsR0xQs5FV01DuOrIbzJF95Q5Yy4U"};
constexpr std::pair<const char*, const char*> kP384 = {
    "fhA9v1B7fZML5hQkMv9so73jPyXFZOefh2AdSaNGc01-NOD4oWSeEs2XW8hbNTvi",
    "fxlWectzYw-mwscbxdi9jRxQkoO7CnpE_j5zLFc-1hwvu2GGcriaJpspBAVH_qt_"};
constexpr std::pair<const char*, const char*> kP521 = {
    "AFjCR6IIAQQ27tWyivojYvYKNazhSlBj1fWxO-SgKa6J0iWRe_Ep-LbN9Lly419ivmBkChTCU251EjvbQ6i-2DT1",
    "AZtd8vsrahA7OSueM2ZldReV4F1g6EkArix_J5IN_P6s0oKSAHk7Ms9bme-O3yFiSUxJ4dj1J7pcWvC7uuVX_et-"};

// Of one zero byte after another.
std::string zeros(size_t characters) { return std::string(characters, 'A'); }

JsonWebKey ec(const std::string& curve, const std::string& x, const std::string& y) {
  return {.type = "EC", .curve = curve, .use = "", .n = "", .e = "", .x = x, .y = y};
}

JsonWebKey rsa(const std::string& n, const std::string& e) {
  return {.type = "RSA", .curve = "", .use = "", .n = n, .e = e, .x = "", .y = ""};
}

std::string mistake(const JsonWebKey& key) {
  const auto read = read_public_key(key);
  CHECK_FALSE(read.ok());
  CHECK(absl::IsInvalidArgument(read.status()));
  return std::string(read.status().message());
}

KeyKind kind_of(const JsonWebKey& key) {
  const auto read = read_public_key(key);
  INFO(read.status().message());
  REQUIRE(read.ok());
  CHECK(read->key != nullptr);
  return read->kind;
}

}  // namespace

TEST_CASE("keys of the kinds that sign tokens are read") {
  CHECK(kind_of(rsa(kModulus, "AQAB")) == KeyKind::kRsa);
  CHECK(kind_of(rsa(kModulus, "Aw")) == KeyKind::kRsa);
  CHECK(kind_of(ec("P-256", kP256.first, kP256.second)) == KeyKind::kP256);
  CHECK(kind_of(ec("P-384", kP384.first, kP384.second)) == KeyKind::kP384);
  CHECK(kind_of(ec("P-521", kP521.first, kP521.second)) == KeyKind::kP521);
  JsonWebKey edwards = ec("Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "");
  edwards.type = "OKP";
  edwards.use = "sig";
  CHECK(kind_of(edwards) == KeyKind::kEd25519);
}

TEST_CASE("a point that is on no curve, or on another, is no key") {
  CHECK(mistake(ec("P-256", kP256.second, kP256.first)) == "x and y are no point of the curve P-256");
  CHECK(mistake(ec("P-256", zeros(43), zeros(43))) == "x and y are no point of the curve P-256");
  CHECK(mistake(ec("P-384", kP256.first, kP256.second)) ==
        "expected x and y of 48 bytes, as P-384 has them; got 32 and 32");
  CHECK(mistake(ec("P-521", kP521.first, kP384.second)) ==
        "expected x and y of 66 bytes, as P-521 has them; got 66 and 48");
  // More than the field's prime.
  CHECK(mistake(ec("P-256", std::string(42, '_') + "8", kP256.second)) == "x and y are no point of the curve P-256");
}

TEST_CASE("what is not in base64url is no number") {
  CHECK(mistake(ec("P-256", "", kP256.second)) == "expected x in base64url without padding");
  CHECK(mistake(ec("P-256", kP256.first, std::string(kP256.second) + "=")) ==
        "expected y in base64url without padding");
  CHECK(mistake(rsa("+/", "AQAB")) == "expected n in base64url without padding");
  CHECK(mistake(rsa(kModulus, "")) == "expected e in base64url without padding");
}

TEST_CASE("RSA keys are as long as they must be, and not longer, and numbers that RSA is done with") {
  CHECK(mistake(rsa(kShortModulus, "AQAB")) == "expected an RSA modulus n, which is odd, of 2048 to 8192 bits");
  CHECK(mistake(rsa(std::string(1400, '_'), "AQAB")) ==
        "expected an RSA modulus n, which is odd, of 2048 to 8192 bits");
  std::string even = kModulus;
  even[even.size() - 1] = 'A';
  CHECK(mistake(rsa(even, "AQAB")) == "expected an RSA modulus n, which is odd, of 2048 to 8192 bits");
  for (const char* exponent : {"AQ", "AA", "Ag", "AQABAQABAQ"}) {
    INFO(exponent);
    CHECK_THAT(mistake(rsa(kModulus, exponent)), Catch::StartsWith("expected an RSA exponent e"));
  }
}

TEST_CASE("keys of other kinds, curves and uses are none of ours, and no mistake") {
  JsonWebKey encryption = rsa(kModulus, "AQAB");
  encryption.use = "enc";
  JsonWebKey secret = rsa("", "");
  secret.type = "oct";
  for (const JsonWebKey& key : {encryption, secret, ec("secp256k1", "AA", "AA"), JsonWebKey()}) {
    CHECK(absl::IsUnimplemented(read_public_key(key).status()));
  }
}

}  // namespace weft::keys
