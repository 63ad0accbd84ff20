#include "control-plane/server/config_directory.h"

#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"

namespace weft::control::server {

namespace {

// A change is read once nothing has happened for so long, and at the latest so long after it began.
constexpr int kQuietMs = 50;
constexpr int64_t kAtMostMs = 1'000;
// What is not noticed, such as a change on a network file system or behind a link to a file, is read after so long.
constexpr int kReadAgainMs = 10'000;
// Of one reading, while the folder goes on changing.
constexpr int kMaxTries = 5;

}  // namespace

ConfigDirectory::ConfigDirectory(const std::string& path, Control* control, base::Clock* clock)
    : path_(source::directory::absolute_path(path)), control_(control), clock_(clock), scanner_(path_) {}

absl::Status ConfigDirectory::start() {
  auto watch = source::directory::Watch::create(path_);
  if (!watch.ok()) return watch.status();
  watch_ = *std::move(watch);
  if (absl::Status status = read(); !status.ok()) return status;
  thread_ = std::thread([this] { run(); });
  return absl::OkStatus();
}

void ConfigDirectory::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  watch_->wake();
  thread_.join();
}

void ConfigDirectory::run() {
  while (!stopping_) {
    if (watch_->wait(kReadAgainMs)) {
      const int64_t began_ms = clock_->monotonic_ms();
      while (!stopping_ && watch_->wait(kQuietMs) && clock_->monotonic_ms() - began_ms < kAtMostMs) {
      }
    }
    if (!stopping_) tell(read());
  }
}

absl::Status ConfigDirectory::read() {
  source::directory::Scan all;
  absl::Status watched;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    auto scan = scanner_.scan(clock_->wall_ms(), [this](const std::string& path) { return watch_->is_open(path); });
    if (!scan.ok()) return scan.status();
    for (source::directory::File& file : scan->changed) all.changed.push_back(std::move(file));
    all.present = std::move(scan->present);
    const auto has_new = watch_->set_folders(scan->folders);
    watched = has_new.status();
    if (!(has_new.ok() && *has_new) && !watch_->wait(0)) break;
  }
  absl::Status taken = control_->take_files(all);
  return taken.ok() ? watched : taken;
}

void ConfigDirectory::tell(const absl::Status& status) {
  const std::string text(status.message());
  if (!status.ok() && text != told_) {
    base::log_error(text::cat("config directory ", path_, ": ", text, "; what is in force stays"));
  }
  told_ = text;
}

}  // namespace weft::control::server
