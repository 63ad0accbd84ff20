#pragma once

// The watched directory: reads it when it starts, and again after every change, on a thread of its own. What was read
// goes to Control, which decides what of it is good. start() and stop() are the owner's.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "control-plane/base/clock.h"
#include "control-plane/server/control.h"
#include "control-plane/source/directory/scan.h"
#include "control-plane/source/directory/watch.h"

namespace weft::control::server {

class ConfigDirectory {
 public:
  // `path` need not be absolute. Both outlive it.
  ConfigDirectory(const std::string& path, Control* control, base::Clock* clock);
  ~ConfigDirectory() { stop(); }

  // When it returns, all good files are in force. An error if the folder cannot be read or watched, or the store
  // failed; bad files are none.
  absl::Status start();
  void stop();

 private:
  void run();
  // Reads until nothing changed meanwhile, and hands it on.
  absl::Status read();
  // Logs what is wrong, unless it is what was wrong before.
  void tell(const absl::Status& status);

  const std::string path_;
  Control* const control_;
  base::Clock* const clock_;
  source::directory::Scanner scanner_;
  std::unique_ptr<source::directory::Watch> watch_;
  std::string told_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace weft::control::server
