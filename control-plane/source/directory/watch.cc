#include "control-plane/source/directory/watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "api/text/cat.h"

namespace weft::control::source::directory {

namespace {

namespace fs = std::filesystem;

// Of a folder on the way, and of one of ours.
constexpr uint32_t kWayMask =
    IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr uint32_t kFolderMask = kWayMask | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE;
// As the kernel, which gives up on a path with more.
constexpr int kMaxLinks = 40;

}  // namespace

absl::StatusOr<std::unique_ptr<Watch>> Watch::create(std::string root) {
  const int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const int wake = inotify < 0 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) {
    const std::string reason = std::strerror(errno);
    if (inotify >= 0) close(inotify);
    return absl::UnavailableError(text::cat("cannot watch ", root, ": ", reason));
  }
  return std::unique_ptr<Watch>(new Watch(std::move(root), inotify, wake));
}

Watch::~Watch() {
  close(inotify_);
  close(wake_);
}

int Watch::add(const std::string& folder, uint32_t mask, bool* full) const {
  // A folder may be both.
  const int number = inotify_add_watch(inotify_, folder.c_str(), mask | IN_MASK_ADD);
  if (number < 0 && (errno == ENOSPC || errno == ENOMEM)) *full = true;
  return number;
}

// Each folder on the way, for the name that leads on from it, and where a name is a link, the way that it names.
void Watch::add_way(const std::string& path, int links_left, std::map<int, Watched>* watched, bool* full) const {
  fs::path folder = "/";
  for (const fs::path& part : fs::path(path).relative_path()) {
    const int number = add(folder, kWayMask, full);
    if (number >= 0) {
      const auto [entry, added] = watched->try_emplace(number);
      // One that is watched for all names stays so.
      if (added || !entry->second.names.empty()) entry->second.names.insert(part);
    }
    std::error_code error;
    const fs::path target = fs::read_symlink(folder / part, error);
    if (!error && links_left > 0) add_way((folder / target).lexically_normal(), links_left - 1, watched, full);
    folder /= part;
  }
}

absl::StatusOr<bool> Watch::set_folders(const std::vector<std::string>& folders) {
  std::map<int, Watched> watched;
  std::map<std::string, int> number_of;
  bool full = false;
  for (const std::string& folder : folders) {
    const int number = add(folder, kFolderMask, &full);
    if (number < 0) continue;
    watched[number];
    number_of[folder] = number;
  }
  add_way(root_, kMaxLinks, &watched, &full);
  bool has_new = false;
  for (const auto& [number, each] : watched) has_new = has_new || !watched_.contains(number);
  for (const auto& [number, each] : watched_) {
    if (!watched.contains(number)) inotify_rm_watch(inotify_, number);
  }
  std::erase_if(open_, [&](const auto& each) { return !watched.contains(each.first); });
  watched_ = std::move(watched);
  number_of_ = std::move(number_of);
  if (full) {
    return absl::ResourceExhaustedError(text::cat("cannot watch all folders below ", root_,
                                                  ": the limit fs.inotify.max_user_watches or the memory is reached"));
  }
  return has_new;
}

bool Watch::read_events() {
  bool changed = false;
  alignas(inotify_event) char buffer[16 << 10];
  for (;;) {
    const ssize_t bytes = read(inotify_, buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return changed;
    for (ssize_t at = 0; at < bytes;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        open_.clear();
        changed = true;
      }
      const auto watched = watched_.find(event->wd);
      if (watched == watched_.end()) continue;
      const std::string name = event->len == 0 ? "" : event->name;
      if (!watched->second.names.empty() && !name.empty() && !watched->second.names.contains(name)) continue;
      changed = true;
      if ((event->mask & IN_MODIFY) != 0) {
        open_.emplace(event->wd, name);
      } else if ((event->mask & IN_ATTRIB) == 0) {
        open_.erase({event->wd, name});
      }
    }
  }
}

bool Watch::wait(int timeout_ms) {
  if (read_events()) return true;
  pollfd ready[] = {{inotify_, POLLIN, 0}, {wake_, POLLIN, 0}};
  if (poll(ready, 2, timeout_ms) <= 0) return false;
  uint64_t count = 0;
  (void)!read(wake_, &count, sizeof(count));
  return read_events();
}

void Watch::wake() {
  const uint64_t one = 1;
  (void)!write(wake_, &one, sizeof(one));
}

bool Watch::is_open(const std::string& path) const {
  const size_t slash = path.rfind('/');
  const auto folder = number_of_.find(path.substr(0, slash));
  return folder != number_of_.end() && open_.contains({folder->second, path.substr(slash + 1)});
}

}  // namespace weft::control::source::directory
