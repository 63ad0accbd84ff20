#pragma once

#include "proxy/intercept/intercept.h"

// `weft-proxy intercept`: its command line, and what it does, which is over when it returns. Main thread.

namespace CLI {
class App;
}  // namespace CLI

namespace weft::server {

struct InterceptCommand {
  intercept::Rules rules;
  intercept::Backend backend = intercept::Backend::kAuto;
  bool no_ipv6 = false;
  bool redirect_dns = false;
  uint16_t dns_port = 15053;
  bool dns_all = false;
  bool dry_run = false;
  bool clean = false;
};

// Adds the subcommand, whose words go to `command`, which outlives the app. A mistake is told as CLI11 does.
CLI::App* add_intercept_command(CLI::App& app, InterceptCommand& command);

// The process's exit code; what was wrong has been told.
int run_intercept(InterceptCommand command);

}  // namespace weft::server
