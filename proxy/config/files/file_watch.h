#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/base/callback.h"
#include "proxy/event/loop.h"

// Tells when files come to be other than they were, by inotify on their directories, so that a rename into place counts
// as a write does. Main thread.

namespace weft::config {

// Where a file stands, as watch() takes it.
struct FilePlace {
  std::string directory, name;
};
FilePlace place_of(const std::string& path);

class FileWatch final : private event::IoEvents {
 public:
  explicit FileWatch(event::LibeventLoop& loop);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // `changed` is called after `name` in `directory` was written and closed, or renamed into or out of place; with an
  // empty name after anything in it was. It must not end a watch. The directory must exist. What unwatch() wants.
  absl::StatusOr<uint64_t> watch(const std::string& directory, const std::string& name, base::Callback<void()> changed);
  void unwatch(uint64_t id);

 private:
  struct Watched {
    int number;  // Inotify's, of the directory.
    std::string name;
    base::Callback<void()> changed;
  };
  void on_io(bool readable, bool writable) override;

  event::LibeventLoop& loop_;
  int fd_ = -1;
  event::IoWatch io_;
  std::map<uint64_t, Watched> watched_;
  uint64_t last_id_ = 0;
};

}  // namespace weft::config
