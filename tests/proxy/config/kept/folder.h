#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

// A directory of a test's own, gone with it.

namespace weft::config {

struct Folder {
  Folder() {
    char name[] = "/tmp/weft-kept-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  size_t files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(path)) ++count;
    return count;
  }
  std::string path;
};

}  // namespace weft::config
