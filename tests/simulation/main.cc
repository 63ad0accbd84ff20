// Runs seeds of the simulation until one breaks an invariant; that one is run again, made smaller, and told.

#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "proxy/base/log.h"
#include "tests/simulation/simulation.h"

namespace weft::simulation {
namespace {

void print_line(std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); }

// "1..100", or one number.
bool parse_range(const std::string& text, uint64_t& first, uint64_t& last) {
  return std::sscanf(text.c_str(), "%" SCNu64 "..%" SCNu64, &first, &last) == 2 && first <= last;
}

int simulate(const Options& base, uint64_t first, uint64_t last, bool verbose, bool smaller) {
  for (uint64_t seed = first; seed <= last; ++seed) {
    Options options = base;
    options.seed = seed;
    if (verbose) options.print = print_line;
    const Result result = run(options);
    if (verbose || first == last || !result.failure.empty() || seed % 100 == 0) {
      std::printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRIu64 " lines, %" PRIu64 " commits, %" PRIu64
                  " responses, at rest after %" PRId64 " ms\n",
                  seed, result.hash, result.lines, result.commits, result.responses, result.settled_ms);
      std::fflush(stdout);
    }
    if (result.failure.empty()) continue;
    std::printf("BROKEN %s\nto run it again: %s\n", result.failure.c_str(), command(options).c_str());
    std::fflush(stdout);
    if (smaller) {
      const Options small = shrink(options);
      std::printf("smaller: %s\n  %s\n", run(small).failure.c_str(), command(small).c_str());
    }
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace weft::simulation

int main(int argc, char** argv) {
  using namespace weft;
  CLI::App app(
      "Runs the real control plane with the real clients of many proxies on simulated time, chance and network.",
      "simulate");
  simulation::Options options;
  std::string seeds;
  std::string log_level = "off";
  bool verbose = false;
  bool no_shrink = false;
  app.add_option("--seed", options.seed, "the run's seed")->capture_default_str();
  app.add_option("--seeds", seeds, "a range of seeds, A..B, in place of --seed");
  app.add_option("--proxies", options.proxies, "how many proxies")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--steps", options.steps, "how many changes and faults")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--services", options.services, "services in each of three namespaces")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--store", options.store, "SQLite file of the control plane; if not given it is kept in memory");
  app.add_option("--log-level", log_level, "what the proxies and the control plane themselves say")
      ->capture_default_str();
  app.add_flag("--whole-stack", options.whole_stack, "proxies speak gRPC over their own HTTP/2, byte by byte");
  app.add_flag("--verbose", verbose, "prints everything that happens");
  app.add_flag("--no-shrink", no_shrink, "does not look for a smaller run that fails");
  CLI11_PARSE(app, argc, argv);
  base::LogLevel level = base::LogLevel::kOff;
  if (!base::parse_log_level(log_level, &level)) {
    std::fprintf(stderr, "--log-level %s is no level\n", log_level.c_str());
    return 2;
  }
  // Of all loggers, the control plane's too.
  spdlog::set_level(static_cast<spdlog::level::level_enum>(level));
  base::set_log_level(level);
  uint64_t first = options.seed, last = options.seed;
  if (!seeds.empty() && !simulation::parse_range(seeds, first, last)) {
    std::fprintf(stderr, "--seeds %s is no range; expected A..B\n", seeds.c_str());
    return 2;
  }
  return simulation::simulate(options, first, last, verbose, !no_shrink);
}
