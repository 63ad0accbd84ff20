#pragma once

// A disk that is full, for the test that owns it: while it lives, this process can make no file larger than the one
// named is now. One at a time, in a process of one thread.

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>

namespace weft::control::server {

class FullDisk {
 public:
  explicit FullDisk(const std::string& path) {
    // Else whoever writes is killed, and is not told.
    former_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit now{.rlim_cur = std::filesystem::file_size(path), .rlim_max = limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    signal(SIGXFSZ, former_);
  }

 private:
  rlimit limit_{};
  void (*former_)(int) = nullptr;
};

}  // namespace weft::control::server
