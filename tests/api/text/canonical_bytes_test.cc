#include "api/text/canonical_bytes.h"

#include <google/protobuf/struct.pb.h>

#include <catch2/catch.hpp>
#include <string>

namespace weft::text {
namespace {

constexpr int kEntries = 200;

google::protobuf::Struct numbered(bool from_the_end) {
  google::protobuf::Struct out;
  for (int i = 0; i < kEntries; ++i) {
    const int n = from_the_end ? kEntries - 1 - i : i;
    (*out.mutable_fields())["key " + std::to_string(n)].set_number_value(n);
  }
  return out;
}

TEST_CASE("equal messages have equal bytes, in whatever order their maps were filled") {
  const std::string bytes = canonical_bytes(numbered(false));
  CHECK(bytes == canonical_bytes(numbered(true)));
  google::protobuf::Struct read;
  REQUIRE(read.ParseFromString(bytes));
  CHECK(read.fields_size() == kEntries);
  CHECK(bytes == canonical_bytes(read));
}

TEST_CASE("messages that differ have other bytes; an empty one has none") {
  google::protobuf::Struct other = numbered(false);
  (*other.mutable_fields())["key 7"].set_number_value(8);
  CHECK(canonical_bytes(other) != canonical_bytes(numbered(false)));
  CHECK(canonical_bytes(google::protobuf::Struct()).empty());
}

}  // namespace
}  // namespace weft::text
