#pragma once

#include <absl/status/status.h>

#include "proxy/config/bootstrap/sidecar.h"

// The command line of `weft-proxy sidecar`. Main thread.

namespace CLI {
class App;
}  // namespace CLI

namespace weft::server {

struct SidecarCommand {
  config::SidecarOptions options;
  bool print_bootstrap = false;  // Instead of running it.
};

// Adds the subcommand, whose words go to `command`, which outlives the app. A mistake is told as CLI11 does.
CLI::App* add_sidecar_command(CLI::App& app, SidecarCommand& command);

// What follows from the rest: the address at which others reach the workload, and the node's id. An error says which
// option is missing.
absl::Status complete(config::SidecarOptions& options);

}  // namespace weft::server
