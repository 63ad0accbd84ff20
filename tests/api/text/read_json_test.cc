#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "api/text/parse.h"
#include "api/text/tree.h"
#include "envoy/config/cluster/v3/cluster.pb.h"

namespace weft::text {
namespace {

using namespace std::string_literals;
using google::protobuf::Struct;
using google::protobuf::Value;

Value value_of(std::string_view json) {
  Value out;
  const absl::Status status = parse(json, "a.json", &out);
  INFO(status.message());
  CHECK(status.ok());
  return out;
}

std::string mistake(std::string_view json, const ParseOptions& options = {}) {
  Value out;
  const absl::Status status = parse(json, "a.json", &out, options);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST_CASE("what a JSON string says is read, with every escape") {
  CHECK(value_of(R"("")").string_value().empty());
  CHECK(value_of(R"("\"\\\/\b\f\n\r\t")").string_value() == "\"\\/\b\f\n\r\t");
  CHECK(value_of(R"("\u0041\u00e9\u20AC\ud83d\ude00")").string_value() == "Aé€😀");
  CHECK(value_of(R"("a\u0000b")").string_value() == "a\0b"s);
  // Longer than what is looked at in one step, before and after an escape.
  const std::string run(100, 'x');
  CHECK(value_of("\"" + run + "\\n" + run + "é" + run + "\"").string_value() == run + "\n" + run + "é" + run);
}

TEST_CASE("each JSON string keeps to itself, whatever stands beside it") {
  const Value value = value_of(R"({"\u006b":"\u0076","":["","\n","x"],"n":-1.50,"t":true,"f":false,"z":null})");
  const auto& fields = value.struct_value().fields();
  REQUIRE(fields.size() == 6);
  CHECK(fields.at("k").string_value() == "v");
  CHECK(fields.at("").list_value().values(0).string_value().empty());
  CHECK(fields.at("").list_value().values(1).string_value() == "\n");
  CHECK(fields.at("").list_value().values(2).string_value() == "x");
  CHECK(fields.at("n").number_value() == -1.5);
  CHECK(fields.at("t").bool_value());
  CHECK((fields.at("f").has_bool_value() && !fields.at("f").bool_value()));
  CHECK(fields.at("z").has_null_value());
}

TEST_CASE("a JSON text is not needed any more once it is read") {
  std::string text = R"({"name": "a\tb", "connect_timeout": "1s", "type": 3})";
  const absl::StatusOr<Untyped> untyped = Untyped::read(text, "a.json", {});
  REQUIRE(untyped.ok());
  text.assign(text.size(), '#');
  CHECK(untyped->scalar("name") == "a\tb");
  envoy::config::cluster::v3::Cluster cluster;
  REQUIRE(untyped->parse(&cluster).ok());
  CHECK(cluster.name() == "a\tb");
  CHECK(cluster.connect_timeout().seconds() == 1);
  CHECK(cluster.type() == envoy::config::cluster::v3::Cluster::EDS);
}

TEST_CASE("positions in JSON count characters, not bytes and not what they say") {
  const std::string text = "{\"é\": \"€\\u20ac\\n\", \"b\": tru}";
  CHECK(mistake(text).starts_with("a.json:1:25: not JSON: "));
  const std::string lines = "\n{ \"é€\": [1,\r\n\t\"\\n\\n\", true,null, false,\n {\"ä\":-2.5}]}";
  Struct out;
  Source source;
  ParseOptions options;
  options.first_line = 10;
  REQUIRE(parse(lines, "a.json", &out, options, &source).ok());
  const auto place = [&](std::string_view path) {
    const Position found = source.positions.find(path);
    return std::pair(found.line, found.column);
  };
  CHECK(place("[\"é€\"]") == std::pair(11, 3));
  CHECK(place("[\"é€\"][0]") == std::pair(11, 10));
  CHECK(place("[\"é€\"][1]") == std::pair(12, 2));
  CHECK(place("[\"é€\"][2]") == std::pair(12, 10));
  CHECK(place("[\"é€\"][3]") == std::pair(12, 15));
  CHECK(place("[\"é€\"][4]") == std::pair(12, 21));
  CHECK(place("[\"é€\"][5]") == std::pair(13, 2));
  CHECK(place("[\"é€\"][5][\"ä\"]") == std::pair(13, 3));
}

TEST_CASE("a mistake in JSON is told with its place and with what was expected") {
  CHECK(mistake(" ") ==
        "a.json:1:1: not JSON: syntax error while parsing value - unexpected end of input; expected '[', '{', or a "
        "literal");
  CHECK(mistake("{\n  \"a\": 1,\n}") ==
        "a.json:2:8: not JSON: syntax error while parsing object key - unexpected '}'; expected string literal");
  CHECK(mistake("[1 2]") ==
        "a.json:1:4: not JSON: syntax error while parsing array - unexpected number literal; expected ']'");
  CHECK(mistake("[1] // why").starts_with("a.json:1:5: not JSON: "));
  ParseOptions options;
  options.first_line = 7;
  CHECK(mistake("\n[", options).starts_with("a.json:8:"));
  for (const std::string bad :
       {"'a'",  "01",      "-",      "+1",  "1.",      ".5",          "1e",     "0x10", "NaN", "Infinity", "nul",
        "[1,]", "{\"a\"}", "{a: 1}", "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\t\"", "[",    "]",   "{\"a\":1"}) {
    INFO(bad);
    CHECK(mistake(bad).find("not JSON: ") != std::string::npos);
  }
}

TEST_CASE("JSON that could be taken for something else is refused") {
  for (const std::string half : {R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")", R"({"\udfff": 1})"}) {
    INFO(half);
    CHECK(mistake(half).find("surrogate") != std::string::npos);
  }
  CHECK(mistake("[1e400]").find("a.json:1:2: not JSON: number overflow") == 0);
  CHECK(mistake("[" + std::string(400, '9') + "]").find("number overflow") != std::string::npos);
  CHECK(mistake("[0e999]") == "a.json:1:2: not JSON: a number with an exponent that is too large");
  CHECK(mistake("{\"a\":\n1}\0{}"s) == "a.json:2:3: not JSON: a NUL character");
  CHECK(mistake("\"a\0b\""s).find("control character") != std::string::npos);
}

TEST_CASE("a control character in a JSON string is refused wherever it stands") {
  for (char c = 1; c < 0x20; ++c) {
    for (size_t at = 0; at < 40; ++at) {
      std::string text(40, 'x');
      text[at] = c;
      INFO("character " << int{c} << " at " << at);
      CHECK(mistake("[\"" + text + "\"]").starts_with("a.json:1:2: not JSON: "));
    }
  }
}

TEST_CASE("JSON's numbers are read as they are written") {
  CHECK(value_of("1e-400").number_value() == 0);
  CHECK(value_of("1.7976931348623157e308").number_value() == 1.7976931348623157e308);
  CHECK(value_of("123456789012345678901234567890").number_value() == 123456789012345678901234567890.0);
  CHECK_FALSE(std::signbit(value_of("-0").number_value()));
  CHECK(std::signbit(value_of("-0.0").number_value()));
  google::protobuf::UInt64Value natural;
  REQUIRE(parse("18446744073709551615", "a.json", &natural).ok());
  CHECK(natural.value() == 18446744073709551615u);
  const absl::StatusOr<Tree> tree =
      read_tree("[1.50, 1E3, -0, 18446744073709551615]", "a.json", {.format = TreeOptions::Format::kJson}, nullptr);
  REQUIRE(tree.ok());
  CHECK(tree->dump() == "[1.5,1000.0,0,18446744073709551615]");
}

TEST_CASE("a byte order mark before JSON is passed over") {
  CHECK(value_of("\xEF\xBB\xBF[1]").list_value().values_size() == 1);
  CHECK(mistake("\xEF\xBB\xBF[x]").starts_with("a.json:1:2: not JSON: "));
}

TEST_CASE("JSON's depth is bounded where it is written") {
  ParseOptions options;
  options.max_depth = 5;
  Value out;
  CHECK(parse("[[{\"a\":[[1]]}]]", "a.json", &out, options).ok());
  CHECK(mistake("[\n[{\"a\":[[[1]]]}]]", options) ==
        "a.json:2:9: not JSON: more than 5 objects and arrays within each other");
}

TEST_CASE("a key that stands twice is found among few and among many") {
  for (const int count : {2, 16, 17, 200}) {
    std::string text = "{";
    for (int i = 0; i < count; ++i) text += "\"k" + std::to_string(i) + "\":" + std::to_string(i) + ",\n";
    INFO(count);
    CHECK(value_of(text + "\"k\":0}").struct_value().fields_size() == count + 1);
    CHECK(mistake(text + "\"k0\":0}") ==
          "a.json:" + std::to_string(count + 1) + ":1: the key \"k0\" stands a second time; the first is on line 1");
  }
}

TEST_CASE("messages are read on many threads at once") {
  std::vector<std::thread> threads;
  std::vector<int> weights(4, 0);
  for (int& weight : weights) {
    threads.emplace_back([&weight] {
      for (int i = 0; i < 50; ++i) {
        envoy::config::cluster::v3::Cluster out;
        const absl::Status status = parse(
            R"({"name":"a","loadAssignment":{"endpoints":[{"loadBalancingWeight":1},{"loadBalancingWeight":2}]},
                "load_balancing_policy":{"policies":[{}]},"lrsServer":{"ads":{}}})",
            "a.json", &out);
        if (status.ok()) weight += out.load_assignment().endpoints(1).load_balancing_weight().value();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(weights == std::vector<int>(4, 100));
}

}  // namespace
}  // namespace weft::text
