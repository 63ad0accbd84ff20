#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "proxy/config/bootstrap/sidecar.h"

// The command line of `weft-proxy sidecar`. Main thread.

namespace CLI {
class App;
}  // namespace CLI

namespace weft::server {

struct SidecarCommand {
  config::SidecarOptions options;
  std::string token_file;        // Of the join token, or of a service account's; empty: $WEFT_TOKEN has it.
  bool print_bootstrap = false;  // Instead of running it.
};

// Adds the subcommand, whose words go to `command`, which outlives the app. A mistake is told as CLI11 does.
CLI::App* add_sidecar_command(CLI::App& app, SidecarCommand& command);

// A token as it stands in the file, or an error that names it.
absl::StatusOr<std::string> read_token_file(const std::string& file);

// What follows from the rest: the join token, the address at which others reach the workload, and the node's id. An
// error says which option is missing.
absl::Status complete(SidecarCommand& command);

}  // namespace weft::server
