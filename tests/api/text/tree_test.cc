#include "api/text/tree.h"

#include <catch2/catch.hpp>
#include <random>

#include "api/text/cat.h"

namespace weft::text {
namespace {

Tree read(std::string_view text, const TreeOptions& options = {}) {
  absl::StatusOr<Tree> tree = read_tree(text, "a.yaml", options, nullptr);
  INFO(tree.status().message());
  REQUIRE(tree.ok());
  return *std::move(tree);
}

std::string refusal(std::string_view text, const TreeOptions& options = {}) {
  absl::StatusOr<Tree> tree = read_tree(text, "a.yaml", options, nullptr);
  return tree.ok() ? "accepted" : std::string(tree.status().message());
}

TEST_CASE("a tree keeps the order of keys and what it does not know") {
  const Tree tree = read("zebra: 1\napple: {b: [x, {y: ~}], a: }\n");
  CHECK(tree.dump() == R"({"zebra":1,"apple":{"b":["x",{"y":null}],"a":null}})");
  CHECK(print_tree_yaml(tree) == "zebra: 1\napple:\n  b:\n    - x\n    - \"y\": null\n  a: null\n");
  CHECK(read("# nothing\n").is_null());
}

TEST_CASE("a scalar without quotes is what Kubernetes takes it for") {
  const auto value = [](const std::string& text) { return read("v: " + text + "\n")["v"].dump(); };
  CHECK(value("yes") == "true");
  CHECK(value("Off") == "false");
  CHECK(value("0644") == "420");
  CHECK(value("0o644") == "420");
  CHECK(value("0x1F") == "31");
  CHECK(value("0b11") == "3");
  CHECK(value("1_000") == "1000");
  CHECK(value("-7") == "-7");
  CHECK(value("+7") == "7");
  CHECK(value("18446744073709551615") == "18446744073709551615");
  CHECK(value("-9223372036854775808") == "-9223372036854775808");
  CHECK(value("08") == "8.0");
  CHECK(value("1e3") == "1000.0");
  CHECK(value(".5") == "0.5");
  CHECK(value("~") == "null");
  CHECK(value("null") == "null");
  for (const char* word : {"100m", "1.2.3", "2001-01-01", "0x", "+", ".", "_", "--", "1e", "10:20", "0xZZ", "oN"}) {
    CHECK(value(word) == cat("\"", word, "\""));
  }
  CHECK(value("\"yes\"") == "\"yes\"");
  CHECK(value("'0644'") == "\"0644\"");
  CHECK(value("!!str 12") == "\"12\"");
}

TEST_CASE("aliases and merges are what they stand for") {
  CHECK(read("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n").dump() ==
        R"({"a":{"p":1,"q":2},"b":{"q":3,"p":1},"c":{"p":1,"q":2}})");
  CHECK(read("a: &x {p: 1}\nb: &y {p: 2, r: 2}\nc: {<<: [*x, *y]}\n")["c"].dump() == R"({"p":1,"r":2})");
}

TEST_CASE("what cannot be a tree is refused by its place") {
  CHECK(refusal("a: 1\nb: 2\na: 3\n") == "a.yaml:3:1: the key \"a\" stands a second time; the first is in line 1");
  CHECK(refusal("a:\n  b: .inf\n") ==
        "a.yaml:2:6: a.b: expected a number that JSON has; \".inf\" in quotes is a string");
  CHECK(refusal("a: [1, 2\n").starts_with("a.yaml:"));
  CHECK(refusal("a: {<<: 7}\n") == "a.yaml:1:5: a: expected << to be of a map or of a list of maps");
  CHECK(refusal("a: \xff\n") == "a.yaml:1:4: the text is no UTF-8");
  CHECK(refusal("{\"a\": 1, \"a\": 2}", {.format = TreeOptions::Format::kJson}).find("second time") !=
        std::string::npos);
  TreeOptions below;
  below.first_line = 10;
  CHECK(refusal("a: 1\na: 2\n", below).starts_with("a.yaml:11:1: "));
}

TEST_CASE("size, depth and aliases are bounded") {
  TreeOptions few;
  few.max_input_bytes = 4;
  CHECK(refusal("a: 123\n", few) == "a.yaml: longer than 4 bytes");
  few = {};
  few.max_values = 20;
  CHECK(refusal("a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b]\n", few).find("more than 20 values") !=
        std::string::npos);
  // Each level doubles the work, or makes the recursion deeper, though the text is short.
  std::string merges = "m0: &m0 {k: 1}\n", nested = "n0: &n0 [1]\n";
  for (int i = 1; i < 60; ++i) {
    append(&merges, "m", i, ": &m", i, " {<<: [*m", i - 1, ", *m", i - 1, "]}\n");
    append(&nested, "n", i, ": &n", i, " [[[*n", i - 1, "]]]\n");
  }
  CHECK(refusal(merges).find("more than") != std::string::npos);
  CHECK(refusal(nested).find("more than 64 maps and lists") != std::string::npos);
}

TEST_CASE("lines stay lines") {
  const Tree script = {{"run", "set -e\n  echo \"hi\"\n\nexit\n"}, {"list", {"a\nb"}}};
  CHECK(print_tree_yaml(script) == "run: |\n  set -e\n    echo \"hi\"\n\n  exit\nlist:\n  - |-\n    a\n    b\n");
}

// Pieces that YAML could take for something else.
Tree random_tree(std::mt19937& random, int depth) {
  static const char* const kWords[] = {
      "",       "a",    "yes",  "0644",       "1e3",      "~",      "null",   " x",     "x ",      "- a",
      "a: b",   "# c",  "|",    "\n",         "a\nb",     "a\nb\n", "a\n\n",  "\ta\nb", " a\nb",   "a\n b\n",
      "a\n\nb", "a\n ", "é\nü", "\xC2\x85\n", "\"q\"\n'", "\\\n",   "---\nx", "{}",     "[]",      "*a",
      "&a",     "!t",   "%x",   "@x",         "`x",       "a\r\nb", "<<",     "...\na", "a\n#b\n", "\x7f\n"};
  const auto word = [&] { return std::string(kWords[random() % std::size(kWords)]); };
  switch (depth > 4 ? 2 + random() % 5 : random() % 7) {
    case 0: {
      Tree out = Tree::object();
      for (size_t i = random() % 5; i > 0; --i) {
        const std::string key = word();
        if (!out.contains(key)) out[key] = random_tree(random, depth + 1);
      }
      return out;
    }
    case 1: {
      Tree out = Tree::array();
      for (size_t i = random() % 5; i > 0; --i) out.push_back(random_tree(random, depth + 1));
      return out;
    }
    case 2:
      return static_cast<int64_t>(random()) - 1'000'000;
    case 3:
      return random() % 2 == 0;
    case 4:
      return nullptr;
    case 5:
      return static_cast<double>(random()) / 7;
    default:
      return word() + (random() % 3 == 0 ? word() : "");
  }
}

TEST_CASE("what is printed reads as what it was") {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    const Tree tree = {{"root", random_tree(random, 0)}};
    const std::string text = print_tree_yaml(tree);
    INFO(text);
    const Tree again = read(text);
    REQUIRE(again.dump() == tree.dump());
  }
}

}  // namespace
}  // namespace weft::text
