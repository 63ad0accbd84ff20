#pragma once

// Notices that something changed in a folder, in those below it, or on the way to it: a part of its path, or a symbolic
// link in that, that is replaced by another. The one file that wraps inotify. One thread waits; wake() is for any.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::control::source::directory {

class Watch {
 public:
  // `root` as Scanner has it. Unavailable if the system has no more of what it takes.
  static absl::StatusOr<std::unique_ptr<Watch>> create(std::string root);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Watches these folders, and the way to the root, and no others. True if there were new ones among them: what is in
  // those may have changed before. Folders that are not there are left out. ResourceExhausted if the system's limit
  // of watches is reached; some folders are then not watched.
  absl::StatusOr<bool> set_folders(const std::vector<std::string>& folders);

  // Whether anything changed since it was last asked; waits for it until `timeout_ms` is over or wake() is called.
  bool wait(int timeout_ms);
  // Makes the wait that is on, or the next one, end at once.
  void wake();

  // Someone wrote to the file and has not closed it yet.
  bool is_open(const std::string& path) const;

 private:
  struct Watched {
    // Of what names changes count; empty: of all.
    std::set<std::string> names;
  };

  Watch(std::string root, int inotify, int wake) : root_(std::move(root)), inotify_(inotify), wake_(wake) {}
  // The watch's number, below 0 if there is no such folder, or the limit is reached, which `full` then says.
  int add(const std::string& folder, uint32_t mask, bool* full) const;
  void add_way(const std::string& path, int links_left, std::map<int, Watched>* watched, bool* full) const;
  bool read_events();

  const std::string root_;
  const int inotify_;
  const int wake_;
  std::map<int, Watched> watched_;
  std::map<std::string, int> number_of_;
  std::set<std::pair<int, std::string>> open_;
};

}  // namespace weft::control::source::directory
