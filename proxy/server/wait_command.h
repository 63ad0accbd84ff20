#pragma once

#include <cstdint>

// `weft-proxy wait`: ends once the sidecar beside it is ready, for what must not start before: a hook of a container's
// start, or a script. Main thread.

namespace CLI {
class App;
}  // namespace CLI

namespace weft::server {

struct WaitCommand {
  uint16_t health_port = 15021;  // Of the sidecar, on loopback.
  int64_t timeout_s = 60;
  int64_t period_ms = 200;  // From one question to the next.
};

// Adds the subcommand, whose words go to `command`, which outlives the app. A mistake is told as CLI11 does.
CLI::App* add_wait_command(CLI::App& app, WaitCommand& command);

// The process's exit code: 1, and a line that says so, if it was not ready in time.
int run_wait(const WaitCommand& command);

}  // namespace weft::server
