#include <catch2/catch.hpp>

#include "tests/proxy/route/route_builder.h"

// The index against a matcher that tries every route in order, over random tables and requests.

namespace weft::route {
namespace {

using Kind = PathMatch::Kind;

std::string random_path(base::Random& random, size_t most) {
  static constexpr std::string_view kPieces[] = {"/", "/a", "/b", "/ab", "a", "A", "/api"};
  std::string result = "/";
  for (size_t i = random.below(most); i > 0; --i) result += kPieces[random.below(std::size(kPieces))];
  return result;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lowered(std::string text) {
  for (char& c : text) c = lower(c);
  return text;
}

bool naive_match(const PathMatch& match, std::string path) {
  std::string value = match.value;
  if (!match.case_sensitive) {
    path = lowered(path);
    value = lowered(value);
  }
  switch (match.kind) {
    case Kind::kExact:
      return path == value;
    case Kind::kPrefix:
      return path.rfind(value, 0) == 0;
    case Kind::kPathSeparatedPrefix:
      return path == value || path.rfind(value + "/", 0) == 0;
    default:
      return match.regex->matches(path);
  }
}

RouteEntry random_entry(base::Random& random, size_t number) {
  static constexpr Kind kKinds[] = {Kind::kPrefix, Kind::kPrefix, Kind::kExact, Kind::kPathSeparatedPrefix,
                                    Kind::kRegex};
  Kind kind = kKinds[random.below(std::size(kKinds))];
  std::string value = random_path(random, 6);
  if (kind == Kind::kRegex) value += ".*b";
  if (kind == Kind::kPathSeparatedPrefix) {
    while (value.size() > 1 && value.back() == '/') value.pop_back();
  }
  RouteEntry result = entry(kind, value, std::to_string(number));
  if (kind != Kind::kRegex) result.path.case_sensitive = random.below(8) != 0;
  if (random.below(3) == 0) {
    HeaderMatch header;
    header.name = "x-flag";
    header.present = random.below(2) == 0;
    result.headers.push_back(header);
  }
  return result;
}

}  // namespace

TEST_CASE("the index finds the route that trying all in order finds") {
  base::Random random(20240607);
  for (int round = 0; round < 300; ++round) {
    auto all = host("all", {"*"});
    size_t count = 1 + random.below(60);
    for (size_t i = 0; i < count; ++i) all->routes.push_back(random_entry(random, i));
    const std::vector<RouteEntry>& entries = all->routes;
    auto built = *table({}, std::move(all));
    for (int k = 0; k < 60; ++k) {
      std::string path = random_path(random, 8);
      std::string target = random.below(4) == 0 ? path + "?q=/a" : path;
      TestRequest request(target);
      bool flag = random.below(2) == 0;
      if (flag) request.head.headers.add("x-flag", "1");
      std::string expected = "-";
      for (const RouteEntry& each : entries) {
        if (!naive_match(each.path, path)) continue;
        if (!each.headers.empty() && each.headers[0].present != flag) continue;
        expected = each.route->name;
        break;
      }
      INFO("round " << round << " path " << target);
      REQUIRE(request.name(*built) == expected);
    }
  }
}

TEST_CASE("more lengths of prefix than the index has levels still match in order") {
  auto all = host("all", {"*"});
  std::string path;
  for (int i = 0; i < 80; ++i) path += "/p";
  for (size_t length = path.size(); length >= 2; length -= 2) {
    all->routes.push_back(entry(Kind::kPrefix, path.substr(0, length), std::to_string(length)));
  }
  auto built = *table({}, std::move(all));
  for (size_t length = 2; length <= path.size(); length += 2) {
    std::string target = path.substr(0, length) + "?x";
    CHECK(TestRequest(target).name(*built) == std::to_string(length));
  }
}

TEST_CASE("among a thousand routes each is found") {
  auto all = host("all", {"*"});
  for (int i = 0; i < 1000; ++i) {
    std::string value = "/service/" + std::to_string(i);
    all->routes.push_back(entry(i % 2 == 0 ? Kind::kExact : Kind::kPathSeparatedPrefix, value, value));
  }
  auto built = *table({}, std::move(all));
  for (int i = 0; i < 1000; ++i) {
    std::string target = "/service/" + std::to_string(i);
    CHECK(TestRequest(target).name(*built) == target);
  }
  CHECK(TestRequest("/service/1000").name(*built) == "-");
}

}  // namespace weft::route
