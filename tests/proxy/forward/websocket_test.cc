#include "proxy/forward/websocket.h"

#include <catch2/catch.hpp>

namespace weft::forward {
namespace {

TEST_CASE("the proof is that of RFC 6455's own example") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("a key is 16 bytes in base64, each time others") {
  base::Random random(1);
  std::string one = websocket_key(random), other = websocket_key(random);
  CHECK(one.size() == 24);
  CHECK(one.substr(22) == "==");
  CHECK(one != other);
}

}  // namespace
}  // namespace weft::forward
