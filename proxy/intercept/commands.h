#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

// Programs of the system that are run to their end, such as nft. Blocks; for a command's own thread, never a loop's.

namespace weft::intercept {

struct CommandResult {
  int exit_code = 0;  // 128 + the signal's number for one that was killed.
  std::string output;
  std::string errors;
};

class Commands {
 public:
  virtual ~Commands() = default;
  // `words`: the program, looked up in PATH and in /usr/sbin and /sbin, and its arguments. NotFound: there is none.
  virtual absl::StatusOr<CommandResult> run(const std::vector<std::string>& words, std::string_view input) = 0;
};

std::unique_ptr<Commands> system_commands();

}  // namespace weft::intercept
