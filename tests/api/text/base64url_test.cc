#include "api/text/base64url.h"

#include <catch2/catch.hpp>

namespace weft::text {

TEST_CASE("base64url is strict: one text has one encoding") {
  std::string out;
  CHECK(decode_base64url("", &out));
  CHECK(decode_base64url("-_-_", &out));
  CHECK(out == "\xfb\xff\xbf");
  CHECK(decode_base64url("Zg", &out));
  CHECK(out == "f");
  for (const char* wrong : {"Zg==", "Z", "Zh", "Zm9vYh", "+/+/", "Zm 9", "Zm\n9v", "Z%67"}) {
    INFO(wrong);
    CHECK_FALSE(decode_base64url(wrong, &out));
  }
  for (size_t size = 0; size < 20; ++size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i * 37 + size));
    REQUIRE(decode_base64url(encode_base64url(bytes), &out));
    CHECK(out == bytes);
  }
}

}  // namespace weft::text
