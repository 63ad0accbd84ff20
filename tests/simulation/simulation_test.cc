#include "tests/simulation/simulation.h"

#include <unistd.h>

#include <spdlog/spdlog.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace weft::simulation {
namespace {

// Refusals are by the thousand.
void silence() { spdlog::set_level(spdlog::level::off); }

// Twice, with other memory the second time.
void check_repeats(Options options) {
  silence();
  std::vector<std::string> first, second;
  options.print = [&](std::string_view line) { first.emplace_back(line); };
  const Result one = run(options);
  std::vector<std::unique_ptr<char[]>> disorder;
  for (size_t i = 1; i < 500; ++i) disorder.push_back(std::make_unique<char[]>(i * 37));
  for (size_t i = 0; i < disorder.size(); i += 3) disorder[i].reset();
  options.print = [&](std::string_view line) { second.emplace_back(line); };
  const Result two = run(options);
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  INFO(command(options));
  if (differ.first != first.end() && differ.second != second.end()) CHECK(*differ.first == *differ.second);
  CHECK(one.hash == two.hash);
  CHECK(one.lines > 100);
}

void check(const Options& options) {
  silence();
  const Result result = run(options);
  INFO(command(options));
  CHECK(result.failure == "");
  CHECK(result.responses > 0);
}

TEST_CASE("whatever happens, every proxy ends at the newest revision and never lacks what it needs") {
  for (uint64_t seed = 1; seed <= 16; ++seed) check({.seed = seed});
}

TEST_CASE("so it is with bytes through the proxies' whole stack") {
  for (uint64_t seed = 1; seed <= 6; ++seed) check({.seed = seed, .proxies = 8, .steps = 40, .whole_stack = true});
}

TEST_CASE("so it is when a killed control plane finds its store on disk") {
  const std::string folder = std::filesystem::temp_directory_path() / ("weft-simulation-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  check({.seed = 1, .proxies = 6, .steps = 40, .store = folder + "/store"});
  std::filesystem::remove_all(folder);
}

TEST_CASE("two thousand proxies come to rest") { check({.seed = 1, .proxies = 2000, .steps = 6, .services = 2}); }

TEST_CASE("a seed is the same run each time, to the byte") {
  for (uint64_t seed = 1; seed <= 4; ++seed) check_repeats({.seed = seed, .whole_stack = seed % 2 == 0});
}

}  // namespace
}  // namespace weft::simulation
