#include "proxy/server/options.h"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

#include "proxy/transport/byte_stream.h"

namespace weft::server {
namespace {

#ifndef WEFT_COMMIT
#define WEFT_COMMIT "unknown"
#endif
#ifdef NDEBUG
constexpr std::string_view kBuild = "release";
#else
constexpr std::string_view kBuild = "debug";
#endif

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs by cgroup v2's cpu.max or v1's quota and period; 0: no bound.
double cgroup_cpus() {
  std::istringstream v2(first_line("/sys/fs/cgroup/cpu.max"));
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0) return std::stod(quota) / period;
  std::istringstream v1_quota(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  std::istringstream v1_period(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  double quota_us = 0, period_us = 0;
  if (v1_quota >> quota_us && v1_period >> period_us && quota_us > 0 && period_us > 0) return quota_us / period_us;
  return 0;
}

std::string check_address(const std::string& text) {
  config::HostPort parsed;
  bool is_ip = config::parse_host_port(text, &parsed) &&
               transport::Address::parse_ip(parsed.host, parsed.port).family != transport::Address::Family::kNone;
  return is_ip ? std::string() : "\"" + text + "\": expected IP:PORT, such as 127.0.0.1:15090";
}

}  // namespace

uint32_t available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  double cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  double quota = cgroup_cpus();
  if (quota > 0) cpus = std::min(cpus, std::ceil(quota));
  return std::max(1u, static_cast<uint32_t>(cpus));
}

std::string_view commit() { return WEFT_COMMIT; }

std::string version_text() {
  return std::string("weft-proxy 0.1.0 (commit ") + WEFT_COMMIT + ", " + std::string(kBuild) + ")";
}

Options parse_options(int argc, char** argv, int* exit_code) {
  Options options;
  *exit_code = -1;
  CLI::App app(
      "The sidecar and gateway proxy of Weft: takes an Envoy v3 bootstrap and serves it, or gets all from a control "
      "plane.",
      "weft-proxy");
  std::string mode = "serve", level = "info";
  app.add_option("-c,--config-path", options.config_path, "The bootstrap: an Envoy v3 file, YAML or JSON")
      ->type_name("FILE");
  app.add_option("--mode", mode, "serve, or validate: check the file and exit")
      ->check(CLI::IsMember({"serve", "validate"}));
  app.add_option("--concurrency", options.concurrency, "Worker threads; by default the CPUs that the cgroup allows")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  app.add_option("-l,--log-level", level, "trace, debug, info, warning, error, critical or off")->type_name("LEVEL");
  app.add_option("--drain-time-s", options.drain_time_s, "Seconds that open connections get after SIGTERM")
      ->type_name("S")
      ->check(CLI::Range(0, 86400));
  app.add_option(
         "--drain-announce-ms", options.drain_announce_ms,
         "Milliseconds to serve on after SIGTERM, at most, until the control plane says that others send nothing more")
      ->type_name("MS")
      ->check(CLI::Range(0, 600'000));
  app.add_option(
         "--metrics-address", options.metrics_address,
         "Where /stats/prometheus alone is served, as 127.0.0.1:15090; by default only the administration has it")
      ->type_name("IP:PORT")
      ->check(check_address);
  app.add_option("--metrics-interval-ms", options.metrics_interval_ms,
                 "From one telling of the hops' metrics to the mesh's control plane to the next; 0: they are not told")
      ->type_name("MS")
      ->capture_default_str()
      ->check(CLI::Range(0, 600'000));
  app.add_flag("--allow-unsupported", options.allow_unsupported,
               "Warn of fields that are known but not supported, and go on without them");
  app.add_option("--keep-config", options.keep_config_dir,
                 "Keep what the control plane sent last in this directory, and start with it while the control plane "
                 "is away")
      ->type_name("DIR");
  app.add_flag("--keep-private-keys", options.keep_private_keys,
               "With --keep-config: also secrets that hold private keys, readable for this user alone");
  SidecarCommand sidecar;
  CLI::App* sidecar_app =
      add_sidecar_command(app, sidecar, "sidecar",
                          "Runs next to one workload, with all of its configuration from the mesh's control plane");
  RunCommand run;
  CLI::App* run_app = add_run_command(app, sidecar, run);
  InterceptCommand intercept;
  CLI::App* intercept_app = add_intercept_command(app, intercept);
  WaitCommand wait;
  CLI::App* wait_app = add_wait_command(app, wait);
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", version_text());
  // Before the library sees it, which would take the application's options for ours.
  char** end = std::find(argv, argv + argc, std::string_view("--"));
  if (end != argv + argc) run.application.assign(end + 1, argv + argc);
  argc = static_cast<int>(end - argv);
  // CLI11 tells a wrong command line by an exception.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : 1;
    return options;
  }
  if (!base::parse_log_level(level, &options.log_level)) {
    std::cerr << "--log-level: \"" << level << "\" is none of trace, debug, info, warning, error, critical, off\n";
    *exit_code = 1;
  } else if ((options.config_path.empty() ? 0 : 1) + app.get_subcommands().size() != 1) {
    std::cerr
        << "weft-proxy: expected either -c FILE (an Envoy v3 bootstrap), sidecar, run, intercept or wait; see --help\n";
    *exit_code = 1;
  } else if (run_app->parsed() == run.application.empty()) {
    std::cerr << (run_app->parsed() ? "weft-proxy run: expected the application's command line: weft-proxy run OPTIONS "
                                      "-- PROGRAM ARGUMENTS\n"
                                    : "weft-proxy: what stands behind -- is for `weft-proxy run` alone\n");
    *exit_code = 1;
  }
  if (*exit_code < 0 && options.keep_private_keys && options.keep_config_dir.empty()) {
    std::cerr << "weft-proxy: --keep-private-keys says what --keep-config DIR keeps, which is missing\n";
    *exit_code = 1;
  }
  if (sidecar_app->parsed() || run_app->parsed()) options.sidecar = std::move(sidecar);
  if (run_app->parsed()) options.run = std::move(run);
  if (intercept_app->parsed()) options.intercept = std::move(intercept);
  if (wait_app->parsed()) options.wait = wait;
  options.validate = mode == "validate";
  return options;
}

}  // namespace weft::server
