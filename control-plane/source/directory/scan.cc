#include "control-plane/source/directory/scan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "api/text/cat.h"

namespace weft::control::source::directory {

namespace {

namespace fs = std::filesystem;
using text::cat;

constexpr size_t kMaxFiles = 10'000;
constexpr int64_t kMaxFileBytes = 16 << 20;
constexpr int kMaxDepth = 16;
constexpr int64_t kNsPerMs = 1'000'000;
// File systems keep times in steps, the coarsest of two seconds.
constexpr int64_t kCoarsestStepMs = 2'000;

bool is_document(const fs::path& path) {
  const std::string extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

int64_t ns_of(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// The whole content, at most kMaxFileBytes; false with the reason if it cannot be read.
bool read_all(int fd, std::string* text, std::string* problem) {
  constexpr size_t kPiece = 64 << 10;
  for (;;) {
    const size_t before = text->size();
    text->resize(before + kPiece);
    const ssize_t count = ::read(fd, text->data() + before, kPiece);
    text->resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) *problem = std::strerror(errno);
    if (text->size() > kMaxFileBytes) *problem = cat("longer than ", kMaxFileBytes, " bytes");
    if (problem->empty()) continue;
    text->clear();
    return false;
  }
}

}  // namespace

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::string out = fs::absolute(path, error).lexically_normal();
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

absl::Status Scanner::walk(const std::string& folder, int depth, Scan* scan) {
  if (depth > kMaxDepth) {
    return absl::ResourceExhaustedError(cat(folder, ": more than ", kMaxDepth, " folders within each other"));
  }
  scan->folders.push_back(folder);
  std::error_code error;
  std::vector<std::string> folders;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with(".")) continue;
    // What has gone meanwhile, or is a link to nothing, is no folder; as a file it is looked at again when it is read.
    std::error_code gone;
    if (at->is_directory(gone)) {
      folders.push_back(at->path());
    } else if (is_document(at->path())) {
      scan->present.push_back(at->path());
    }
  }
  if (error) {
    const std::string message = cat("cannot read the folder ", folder, ": ", error.message());
    return error == std::errc::no_such_file_or_directory ? absl::NotFoundError(message)
                                                         : absl::UnavailableError(message);
  }
  if (scan->present.size() > kMaxFiles) {
    return absl::ResourceExhaustedError(cat(root_, ": more than ", kMaxFiles, " files"));
  }
  for (const std::string& each : folders) {
    absl::Status status = walk(each, depth + 1, scan);
    // One below that went while we looked is one that is not there.
    if (absl::IsNotFound(status)) continue;
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool Scanner::read(const std::string& path, int64_t now_ms, Scan* scan) {
  // A pipe must not make us wait for a writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0 && errno == ENOENT) return false;
  const int open_error = file.get() < 0 ? errno : 0;
  struct stat found{};
  File out{path, "", open_error == 0 ? "" : std::strerror(open_error)};
  if (open_error == 0 && fstat(file.get(), &found) != 0) out.problem = std::strerror(errno);
  if (out.problem.empty() && !S_ISREG(found.st_mode)) out.problem = "it is no regular file";
  const Stamp stamp{found.st_dev, found.st_ino, found.st_size, ns_of(found.st_mtim), ns_of(found.st_ctim)};
  const auto before = known_.find(path);
  if (before != known_.end() && before->second.is_sure && before->second.stamp == stamp && out.problem.empty()) {
    return true;
  }
  if (out.problem.empty()) read_all(file.get(), &out.text, &out.problem);
  const int64_t newest_ms = std::max(stamp.modified_ns, stamp.changed_ns) / kNsPerMs;
  known_[path] = {stamp, out.problem.empty() && now_ms - newest_ms > kCoarsestStepMs};
  scan->changed.push_back(std::move(out));
  return true;
}

absl::StatusOr<Scan> Scanner::scan(int64_t now_ms, const std::function<bool(const std::string&)>& is_open) {
  Scan scan;
  if (absl::Status status = walk(root_, 0, &scan); !status.ok()) return status;
  std::sort(scan.present.begin(), scan.present.end());
  std::erase_if(scan.present, [&](const std::string& path) {
    if (is_open(path)) return !known_.contains(path);
    return !read(path, now_ms, &scan);
  });
  const std::set<std::string_view> present(scan.present.begin(), scan.present.end());
  std::erase_if(known_, [&](const auto& each) { return !present.contains(each.first); });
  return scan;
}

}  // namespace weft::control::source::directory
