#pragma once

// A seeded run: proxies with the real client code, a control plane with the real server code, changes and faults. After
// the last fault all must come to rest, at the newest revision, within a bounded time; what must hold at every moment
// is checked as it happens. The same options always make the same run, to the byte. One thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace weft::simulation {

struct Options {
  uint64_t seed = 1;
  int proxies = 12;
  // Changes and faults.
  int steps = 60;
  // In each of three namespaces.
  int services = 4;
  // Messages go through the proxies' gRPC, pools, HTTP/2 codec and flow control, as bytes.
  bool whole_stack = false;
  // An SQLite file for the store; empty keeps it in memory.
  std::string store;
  // Gets every line of the run.
  std::function<void(std::string_view line)> print;
};

struct Result {
  // Of everything that happened.
  uint64_t hash = 0;
  // The invariant that was broken first; empty if none was.
  std::string failure;

  uint64_t lines = 0;
  uint64_t commits = 0;
  uint64_t responses = 0;
  // Simulated, from the last fault until all was at rest.
  int64_t settled_ms = 0;
};

Result run(const Options& options);

// The smallest run with the same seed that still breaks an invariant, of some that were tried: first fewer steps, then
// fewer proxies and services.
Options shrink(Options failing);

// How a person runs it again.
std::string command(const Options& options);

}  // namespace weft::simulation
