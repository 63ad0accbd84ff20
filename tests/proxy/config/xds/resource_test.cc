#include "proxy/config/xds/resource.h"

#include "tests/proxy/config/xds/conversation_fixture.h"

namespace weft::config::xds {

TEST_CASE("the name of a resource is found among its other fields, the last one counting") {
  // Field 4 (bytes), 1 "a", 2 (varint), 1 "bc".
  std::string bytes(
      "\x22\x03xyz\x0a\x01"
      "a\x10\x05\x0a\x02"
      "bc",
      14);
  CHECK(name_within(bytes) == "bc");
  CHECK(name_within("") == "");
  CHECK_FALSE(
      name_within("\x0a\x05"
                  "abc"));
  CHECK_FALSE(name_within("\x0a"));
  CHECK_FALSE(name_within(std::string_view("\x0b\x00", 2)));
}

TEST_CASE("a wrapped resource has its own version, else that of the response") {
  discovery_v3::Resource wrapper;
  wrapper.set_name("a");
  *wrapper.mutable_resource() = resource_of(Type::kCluster, "a");
  CHECK(read_sotw(Type::kCluster, wrapped(wrapper), "7").resource.version == "7");
  wrapper.set_version("own");
  CHECK(read_sotw(Type::kCluster, wrapped(wrapper), "7").resource.version == "own");
}

TEST_CASE("a time to live is above nothing, rounded up, and no longer than a year") {
  discovery_v3::Resource wrapper;
  wrapper.set_name("a");
  *wrapper.mutable_resource() = resource_of(Type::kCluster, "a");
  wrapper.mutable_ttl()->set_nanos(1);
  CHECK(read_delta(Type::kCluster, wrapper).ttl_ms == 1);
  wrapper.mutable_ttl()->set_seconds(INT64_MAX);
  CHECK(read_delta(Type::kCluster, wrapper).ttl_ms == 365LL * 24 * 3600 * 1000);
  wrapper.mutable_ttl()->set_seconds(-1);
  CHECK(read_delta(Type::kCluster, wrapper).problem == "its ttl must be above 0");
}

TEST_CASE("the text of many refusals is bounded and says how many it leaves out") {
  std::vector<Refusal> refusals;
  for (int i = 0; i < 1000; ++i) refusals.push_back({"c" + std::to_string(i), std::string(100, 'x')});
  std::string text = refusal_text(Type::kCluster, refusals);
  CHECK(text.size() < 17 * 1024);
  CHECK(text.substr(text.size() - 5) == " more");
  refusals = {{"c", std::string(100'000, 'x')}};
  CHECK(refusal_text(Type::kCluster, refusals).size() < 17 * 1024);
}

}  // namespace weft::config::xds
