#include "proxy/base/shared_by_content.h"

#include <catch2/catch.hpp>

namespace weft::base {

TEST_CASE("what is made of the same content is one as long as somebody has it") {
  SharedByContent<std::string> values;
  int made = 0;
  const auto get = [&](const std::string& content) {
    return *values.get(content, [&]() -> absl::StatusOr<std::shared_ptr<const std::string>> {
      ++made;
      return std::make_shared<const std::string>(content);
    });
  };
  auto first = get("a");
  CHECK(get("a") == first);
  CHECK(get("b") != first);
  CHECK(made == 2);
  first.reset();
  CHECK(*get("a") == "a");
  CHECK(made == 3);
}

TEST_CASE("what cannot be made is an error, and is tried again") {
  SharedByContent<std::string> values;
  const auto fails = []() -> absl::StatusOr<std::shared_ptr<const std::string>> {
    return absl::InvalidArgumentError("no");
  };
  CHECK(values.get("a", fails).status().message() == "no");
  CHECK(values
            .get("a",
                 [] {
                   return absl::StatusOr<std::shared_ptr<const std::string>>(
                       std::make_shared<const std::string>("made"));
                 })
            .ok());
}

}  // namespace weft::base
