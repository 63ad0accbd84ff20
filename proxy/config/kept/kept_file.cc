#include "proxy/config/kept/kept_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "api/text/cat.h"
#include "proxy/base/hash.h"

namespace weft::config {
namespace {

// The last character is the form's number.
constexpr std::string_view kMark = "WEFTKEP1";
constexpr size_t kHeadBytes = 8 + 8 + 8;

void put(uint64_t value, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) *out += static_cast<char>(value >> shift & 0xff);
}
uint64_t get(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

absl::Status failed(std::string_view path, std::string_view what) {
  return absl::UnavailableError(text::cat(path, ": cannot be ", what, ": ", strerrordesc_np(errno)));
}

struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number;
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

std::string encode_kept(const v1::KeptResources& kept) {
  std::string payload = kept.SerializeAsString();
  std::string bytes(kMark);
  put(payload.size(), &bytes);
  put(base::xxhash64(payload), &bytes);
  return bytes + payload;
}

absl::StatusOr<v1::KeptResources> decode_kept(std::string_view bytes) {
  if (bytes.size() < kHeadBytes || bytes.substr(0, kMark.size()) != kMark) {
    return absl::DataLossError("is no file of kept configuration, or of another version of weft-proxy");
  }
  std::string_view payload = bytes.substr(kHeadBytes);
  uint64_t size = get(bytes.substr(8));
  if (payload.size() != size) {
    return absl::DataLossError(text::cat("is cut off or has grown: ", payload.size(), " bytes in place of ", size));
  }
  if (base::xxhash64(payload) != get(bytes.substr(16))) {
    return absl::DataLossError("is damaged: its checksum is another");
  }
  v1::KeptResources kept;
  if (payload.size() > kMaxKeptFileBytes || !kept.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError("holds no weft.v1.KeptResources");
  }
  return kept;
}

absl::StatusOr<std::string> read_kept_file(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.number < 0 && errno == ENOENT) return absl::NotFoundError(text::cat(path, ": does not exist"));
  struct stat stat;
  if (file.number < 0 || fstat(file.number, &stat) != 0) return failed(path, "read");
  if (!S_ISREG(stat.st_mode)) return absl::InvalidArgumentError(text::cat(path, ": is no regular file"));
  if ((stat.st_mode & (S_IWGRP | S_IWOTH)) != 0 || stat.st_uid != geteuid()) {
    return absl::PermissionDeniedError(text::cat(path, ": others than we could have written it; it is not trusted"));
  }
  if (static_cast<uint64_t>(stat.st_size) > kMaxKeptFileBytes) {
    return absl::InvalidArgumentError(text::cat(path, ": is larger than ", kMaxKeptFileBytes, " bytes"));
  }
  std::string bytes(static_cast<size_t>(stat.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    ssize_t n = read(file.number, bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, "read");
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

absl::Status write_kept_file(const std::string& path, std::string_view bytes) {
  std::string fresh = path + ".new";
  unlink(fresh.c_str());
  {
    Descriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (file.number < 0) return failed(fresh, "made");
    if (!write_all(file.number, bytes) || fsync(file.number) != 0) {
      absl::Status status = failed(fresh, "written");
      unlink(fresh.c_str());
      return status;
    }
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "replaced");
  Descriptor directory(open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number < 0 || fsync(directory.number) != 0) return failed(path, "made durable");
  return absl::OkStatus();
}

absl::Status make_kept_directory(const std::string& path) {
  if (mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return failed(path, "made");
  struct stat stat;
  if (::stat(path.c_str(), &stat) != 0) return failed(path, "used");
  if (!S_ISDIR(stat.st_mode)) return absl::InvalidArgumentError(text::cat(path, ": is no directory"));
  if ((stat.st_mode & (S_IWGRP | S_IWOTH)) != 0 || stat.st_uid != geteuid()) {
    return absl::PermissionDeniedError(
        text::cat(path, ": only the user that weft-proxy runs as may own it and write to it"));
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) return failed(path, "written to");
  return absl::OkStatus();
}

}  // namespace weft::config
