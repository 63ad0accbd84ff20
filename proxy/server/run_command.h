#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/server/sidecar_options.h"

// The command line of `weft-proxy run`: a sidecar and its application, started and ended together. Main thread.

namespace weft::server {

struct RunCommand {
  std::vector<std::string> application;  // The program and its arguments.
  // Who the proxy runs as where this process is root.
  uint32_t uid = 1337;
  uint32_t gid = 1337;
  int64_t stop_time_s = 25;  // From SIGTERM to the end.
};

// Adds the subcommand with all options of `sidecar`, whose words go to `sidecar`. Both outlive the app.
CLI::App* add_run_command(CLI::App& app, SidecarCommand& sidecar, RunCommand& command);

}  // namespace weft::server
