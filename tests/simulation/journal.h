#pragma once

// What happened in a simulated run, as a hash of every line and, if wanted, as the lines themselves. Two runs of one
// seed must end with the same hash. It also keeps the first broken invariant, which ends the run. One thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace weft::simulation {

class Journal {
 public:
  // Gets each line as it is written; empty for none.
  explicit Journal(std::function<void(std::string_view line)> print = nullptr) : print_(std::move(print)) {}

  // `what`: of whom and what; `bytes` goes into the hash and is printed as its own hash and length.
  void note(int64_t now_us, std::string_view what, std::string_view bytes = {});
  // The first one counts.
  void fail(int64_t now_us, std::string what);

  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  uint64_t hash() const { return hash_; }
  uint64_t lines() const { return lines_; }

 private:
  std::function<void(std::string_view line)> print_;
  uint64_t hash_ = 0;
  uint64_t lines_ = 0;
  std::string failure_;
};

}  // namespace weft::simulation
