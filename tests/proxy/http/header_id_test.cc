#include "proxy/http/header_id.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::http {
namespace {

TEST_CASE("every known name has its number in any letter case, and no near one has") {
  for (int i = 1; i < static_cast<int>(HeaderId::kCount); ++i) {
    auto id = static_cast<HeaderId>(i);
    std::string name(header_name(id));
    INFO(name);
    CHECK(header_id(name) == id);
    std::string upper = name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
    CHECK(header_id(upper) == id);
    for (size_t at = 0; at < name.size(); ++at) {
      std::string near = name;
      near[at] = '_';
      CHECK(header_id(near) == HeaderId::kOther);
    }
    CHECK(header_id(name.substr(1)) != id);
    CHECK(header_id(name + "x") != id);
  }
  CHECK(header_id("") == HeaderId::kOther);
}

}  // namespace
}  // namespace weft::http
