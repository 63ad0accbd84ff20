#include "proxy/config/files/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace weft::config {

FilePlace place_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

FileWatch::FileWatch(event::LibeventLoop& loop) : loop_(loop), fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (fd_ >= 0) io_.start_level(loop_, fd_, *this, true, false);
}

FileWatch::~FileWatch() {
  io_.stop();
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<uint64_t> FileWatch::watch(const std::string& directory, const std::string& name,
                                          base::Callback<void()> changed) {
  constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE;
  int number = fd_ < 0 ? -1 : inotify_add_watch(fd_, directory.c_str(), kEvents | IN_ONLYDIR);
  if (number < 0) return absl::NotFoundError(absl::StrCat(directory, ": cannot be watched: ", strerror(errno)));
  watched_.emplace(++last_id_, Watched{number, name, changed});
  return last_id_;
}

void FileWatch::unwatch(uint64_t id) {
  auto found = watched_.find(id);
  if (found == watched_.end()) return;
  int number = found->second.number;
  watched_.erase(found);
  bool used =
      std::any_of(watched_.begin(), watched_.end(), [&](const auto& each) { return each.second.number == number; });
  if (!used) inotify_rm_watch(fd_, number);
}

void FileWatch::on_io(bool, bool) {
  alignas(inotify_event) char events[16 * 1024];
  ssize_t length = 0;
  while ((length = read(fd_, events, sizeof(events))) > 0) {
    for (char* at = events; at < events + length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      std::string_view name = event->len == 0 ? std::string_view() : std::string_view(event->name);
      bool lost_count = (event->mask & IN_Q_OVERFLOW) != 0;
      // A file that was only begun is told of again when it is closed; a link is whole when it is made.
      for (auto& [id, each] : watched_) {
        if (lost_count || (each.number == event->wd && (each.name.empty() || each.name == name))) each.changed();
      }
    }
  }
}

}  // namespace weft::config
