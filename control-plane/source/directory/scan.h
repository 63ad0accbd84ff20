#pragma once

// Reads a folder of documents: every .yaml, .yml and .json below it, through symbolic links too; what is hidden by a
// dot before its name is left out. A Scanner remembers what it read, so that only files that changed are read again. It
// belongs to one thread.

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::control::source::directory {

struct File {
  // Absolute, below the folder as it was named.
  std::string path;
  std::string text;
  // Why it could not be read; `text` is then empty.
  std::string problem;
};

struct Scan {
  // Those that are new or not as they were at the scan before, by path.
  std::vector<File> changed;
  // Every file there is, by path.
  std::vector<std::string> present;
  // The folder and all below it: what to watch.
  std::vector<std::string> folders;
};

class Scanner {
 public:
  // `root` absolute, without a slash at its end.
  explicit Scanner(std::string root) : root_(std::move(root)) {}

  // NotFound or Unavailable if the folder cannot be listed, ResourceExhausted if there is more than is taken (10,000
  // files, 16 MiB in one, 16 folders within each other): nothing is then known of any file. A file for which `is_open`
  // says that someone is writing it counts as it was before. `now_ms` is since the epoch.
  absl::StatusOr<Scan> scan(int64_t now_ms, const std::function<bool(const std::string& path)>& is_open);

 private:
  // What tells one content of a file from another without reading it.
  struct Stamp {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t bytes = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;
    auto operator<=>(const Stamp&) const = default;
  };
  struct Known {
    Stamp stamp;
    // So old when it was read that a later change has another time.
    bool is_sure = false;
  };

  absl::Status walk(const std::string& folder, int depth, Scan* scan);
  // False if there is no such file any more.
  bool read(const std::string& path, int64_t now_ms, Scan* scan);

  const std::string root_;
  std::map<std::string, Known> known_;
};

// `path` made absolute, without "." and "..", and without a slash at its end; links are left as they are.
std::string absolute_path(const std::string& path);

}  // namespace weft::control::source::directory
