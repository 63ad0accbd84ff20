#include "control-plane/ca/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "api/text/cat.h"

namespace weft::control::ca {

using text::cat;

namespace {

// No certificate or key set comes near.
constexpr size_t kMaxBytes = 1 << 20;
constexpr mode_t kOthers = 0077;

class File {
 public:
  File(const std::string& path, int flags, mode_t mode) : descriptor_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::StatusOr<std::string> read(const std::string& path, bool is_private) {
  const File file(path, O_RDONLY, 0);
  const auto failed = [&path] {
    return absl::NotFoundError(cat(path, ": cannot be read: ", std::string(strerror(errno))));
  };
  struct stat status;
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return failed();
  if (is_private && (status.st_mode & kOthers) != 0) {
    char mode[8] = "";
    snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(status.st_mode & 07777));
    return absl::FailedPreconditionError(cat(path, ": others than its owner may use this private key (its mode is ",
                                             std::string(mode), "); expected 0600: chmod 600 ", path));
  }
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t size = ::read(file.get(), part, sizeof(part));
    if (size < 0) return failed();
    if (size == 0) return text;
    text.append(part, static_cast<size_t>(size));
    if (text.size() > kMaxBytes) {
      return absl::InvalidArgumentError(
          cat(path, ": has more than ", kMaxBytes, " bytes; expected keys or certificates"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> read_file(const std::string& path) { return read(path, false); }
absl::StatusOr<std::string> read_private_file(const std::string& path) { return read(path, true); }

absl::Status write_private_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  {
    const File file(beside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const bool is_written = file.get() >= 0 &&
                            ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                            fsync(file.get()) == 0;
    if (!is_written) {
      return absl::UnavailableError(cat(beside, ": cannot be written: ", std::string(strerror(errno))));
    }
  }
  if (rename(beside.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(cat(path, ": cannot be written: ", std::string(strerror(errno))));
  }
  return absl::OkStatus();
}

}  // namespace weft::control::ca
