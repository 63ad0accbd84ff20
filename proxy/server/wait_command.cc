#include "proxy/server/wait_command.h"

#include <CLI/CLI.hpp>

namespace weft::server {

CLI::App* add_wait_command(CLI::App& app, WaitCommand& command) {
  CLI::App* wait = app.add_subcommand(
      "wait", "Ends with 0 once the sidecar on this host is ready, and with 1 if that is not in time");
  wait->add_option("--health-port", command.health_port, "Where the sidecar is asked for /healthz/ready, on 127.0.0.1")
      ->type_name("PORT")
      ->capture_default_str()
      ->check(CLI::Range(1, 65'535));
  wait->add_option("--timeout-s", command.timeout_s, "How long it may take")
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400));
  wait->add_option("--period-ms", command.period_ms, "Milliseconds from one question to the next")
      ->type_name("MS")
      ->capture_default_str()
      ->check(CLI::Range(10, 60'000));
  return wait;
}

}  // namespace weft::server
