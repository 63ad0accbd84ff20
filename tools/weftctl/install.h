#pragma once

// The command `install`, which asks no control plane. Main thread.

#include <string>

#include "control-plane/install/manifests.h"

namespace weft::weftctl {

struct InstallCommand {
  // But for certificate and key, which come from the files, or are made.
  control::install::InstallOptions options;
  std::string certificate_file;
  std::string key_file;
  // Print instead of having kubectl apply it.
  bool dry_run = false;
  std::string output;  // "yaml" or "json"
};

int install(InstallCommand command);

}  // namespace weft::weftctl
