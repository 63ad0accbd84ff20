#include "proxy/server/run_command.h"

#include <CLI/CLI.hpp>

namespace weft::server {

CLI::App* add_run_command(CLI::App& app, SidecarCommand& sidecar, RunCommand& command) {
  CLI::App* run = add_sidecar_command(
      app, sidecar, "run",
      "Runs a sidecar and, once that is ready, the application whose command line stands behind --; ends with the "
      "application, and with its exit code");
  run->footer(
      "The application's command line: weft-proxy run OPTIONS -- PROGRAM ARGUMENTS. Options of weft-proxy itself, such "
      "as --concurrency and --log-level, may stand before --, too.");
  run->add_option("--uid", command.uid,
                  "Who the proxy runs as if this is root; the rules of interception know it by that")
      ->type_name("UID")
      ->capture_default_str();
  run->add_option("--gid", command.gid, "And its group")->type_name("GID")->capture_default_str();
  run->add_option("--stop-time-s", command.stop_time_s,
                  "Seconds from SIGTERM until all has ended: inbound exchanges, then the application, which can send "
                  "to others to its end")
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::Range(3, 86'400));
  return run;
}

}  // namespace weft::server
