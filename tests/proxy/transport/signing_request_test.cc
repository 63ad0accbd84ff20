#include "proxy/transport/signing_request.h"

#include <catch2/catch.hpp>

#include "tests/proxy/transport/test_authority.h"

namespace weft::transport {
namespace {

constexpr int64_t kNow = 1'700'000'000;
constexpr char kCart[] = "URI:spiffe://cluster.local/ns/shop/sa/cart";

SigningRequest request() {
  auto made = make_signing_request();
  REQUIRE(made.ok());
  return *made;
}

}  // namespace

TEST_CASE("what an authority issues for a request fits the key that was made with it") {
  testing::TestAuthority authority;
  SigningRequest made = request();
  auto issued = read_issued(authority.issue(made.csr, kCart, kNow, kNow + 60), made.private_key_pem);
  INFO(issued.status());
  REQUIRE(issued.ok());
  CHECK(issued->uri == "spiffe://cluster.local/ns/shop/sa/cart");
  CHECK(issued->not_before_s == kNow);
  CHECK(issued->not_after_s == kNow + 60);
  CHECK(issued->chain_pem.starts_with("-----BEGIN CERTIFICATE-----"));
  CHECK(made.private_key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
}

TEST_CASE("every request has a key of its own") { CHECK(request().private_key_pem != request().private_key_pem); }

TEST_CASE("what is not for this key, names nobody or several, or is no certificate, is refused") {
  testing::TestAuthority authority;
  SigningRequest made = request();
  auto reason = [&](const std::vector<std::string>& chain) {
    return std::string(read_issued(chain, made.private_key_pem).status().message());
  };
  CHECK(reason(authority.issue(request().csr, kCart, kNow, kNow + 60)) ==
        "the certificate is not for the key that was sent");
  CHECK(reason(authority.issue(made.csr, "", kNow, kNow + 60)) ==
        "the certificate has 0 URI names; expected one, its SPIFFE ID");
  CHECK(reason(authority.issue(made.csr, "URI:spiffe://a/b,URI:spiffe://a/c", kNow, kNow + 60)) ==
        "the certificate has 2 URI names; expected one, its SPIFFE ID");
  CHECK(reason({}) == "the chain has 0 certificates; expected 1 to 10");
  CHECK(reason({"no DER"}).starts_with("the chain holds what is no certificate"));
  std::vector<std::string> longer = authority.issue(made.csr, kCart, kNow, kNow + 60);
  longer[0] += "x";
  CHECK(reason(longer).starts_with("the chain holds what is no certificate"));
}

TEST_CASE("a secret that is wiped is gone") {
  std::string secret = "0123456789abcdef0123456789abcdef";
  const char* at = secret.data();
  wipe(secret);
  CHECK(secret.empty());
  CHECK(at[1] == '\0');
}

}  // namespace weft::transport
