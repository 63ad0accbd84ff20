#include "proxy/http/metadata.h"

#include <catch2/catch.hpp>

#include <string>

namespace weft::http {
namespace {

MetadataValue number(double value) {
  MetadataValue result;
  result.kind = MetadataValue::Kind::kNumber;
  result.number = value;
  return result;
}

const MetadataValue* find(const Metadata& metadata, std::string_view name, std::vector<std::string> path) {
  return metadata.find(name, path);
}

}  // namespace

TEST_CASE("metadata is found by name and key, and the last word counts") {
  base::Arena arena;
  Metadata metadata;
  CHECK(metadata.empty());
  metadata.set(arena, "a", "key", MetadataValue::of("one"));
  metadata.set(arena, "b", "key", MetadataValue::of("other"));
  metadata.set(arena, "a", "key", MetadataValue::of("two"));
  REQUIRE(find(metadata, "a", {"key"}) != nullptr);
  CHECK(find(metadata, "a", {"key"})->text == "two");
  CHECK(find(metadata, "b", {"key"})->text == "other");
  CHECK(find(metadata, "a", {"none"}) == nullptr);
  CHECK(find(metadata, "a", {}) == nullptr);
  CHECK(find(metadata, "a", {"key", "deeper"}) == nullptr);
}

TEST_CASE("all that stands under a name is gone through") {
  base::Arena arena;
  Metadata metadata;
  metadata.set(arena, "a", "one", MetadataValue::of("1"));
  metadata.set(arena, "b", "other", MetadataValue::of("x"));
  metadata.set(arena, "a", "two", MetadataValue::of("2"));
  std::string seen;
  metadata.for_each("a", [&](const MetadataEntry& entry) { seen.append(entry.key).append(entry.value.text); });
  CHECK(seen == "two2one1");
}

TEST_CASE("metadata is written as JSON") {
  base::Arena arena;
  Metadata metadata;
  std::string out;
  CHECK_FALSE(metadata.append_json("a", out));
  MetadataEntry list[] = {{"", number(1)}, {"", MetadataValue::of_bool(false)}, {"", MetadataValue()}};
  MetadataValue value;
  value.kind = MetadataValue::Kind::kList;
  value.entries = list;
  value.entry_count = 3;
  MetadataEntry inner[] = {{"list", value}, {"text", MetadataValue::of("a\"\\\n")}, {"half", number(0.5)}};
  MetadataValue object;
  object.kind = MetadataValue::Kind::kStruct;
  object.entries = inner;
  object.entry_count = 3;
  metadata.set(arena, "a", "object", object);
  CHECK(metadata.append_json("a", out));
  CHECK(out == R"({"object":{"list":[1,false,null],"text":"a\"\\\u000a","half":0.5}})");
  REQUIRE(find(metadata, "a", {"object", "half"}) != nullptr);
  CHECK(find(metadata, "a", {"object", "half"})->number == 0.5);
}

}  // namespace weft::http
