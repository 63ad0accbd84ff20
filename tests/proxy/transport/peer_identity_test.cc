#include "proxy/transport/peer_identity.h"

#include <catch2/catch.hpp>

namespace weft::transport {
namespace {

std::string identity(bool verified, std::vector<std::string> uris) {
  TlsInfo tls;
  tls.peer_certificate_presented = true;
  tls.peer_verified = verified;
  tls.peer_uri_sans = std::move(uris);
  ConnectionInfo info;
  info.tls = &tls;
  return std::string(peer_identity(info));
}

}  // namespace

TEST_CASE("a peer is who its verified certificate says") {
  CHECK(identity(true, {"spiffe://cluster.local/ns/shop/sa/cart"}) == "spiffe://cluster.local/ns/shop/sa/cart");
}

TEST_CASE("who is not verified is nobody, and so is who has no name or several of a workload's") {
  CHECK(peer_identity(ConnectionInfo()).empty());
  CHECK(identity(false, {"spiffe://cluster.local/ns/shop/sa/cart"}).empty());
  CHECK(identity(true, {}).empty());
  CHECK(identity(true, {"https://cluster.local/cart"}).empty());
  CHECK(identity(true, {"spiffe://a/ns/x/sa/y", "spiffe://a/ns/x/sa/z"}).empty());
}

}  // namespace weft::transport
