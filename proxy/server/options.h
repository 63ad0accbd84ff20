#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/base/log.h"
#include "proxy/server/intercept_command.h"
#include "proxy/server/run_command.h"
#include "proxy/server/sidecar_options.h"
#include "proxy/server/wait_command.h"

// weft-proxy's command line. Main thread.

namespace weft::server {

struct Options {
  // Either a file, or a sidecar's few words instead of one.
  std::string config_path;
  std::optional<SidecarCommand> sidecar;
  std::optional<InterceptCommand> intercept;  // Runs no proxy.
  std::optional<WaitCommand> wait;            // Nor does this.
  std::optional<RunCommand> run;              // Beside `sidecar`: with its application.
  bool validate = false;                      // --mode validate
  bool allow_unsupported = false;
  uint32_t concurrency = 0;  // Workers; 0: as many as the CPU quota of the cgroup gives, at least 1.
  base::LogLevel log_level = base::LogLevel::kInfo;
  std::string keep_config_dir;  // Empty: nothing is kept.
  bool keep_private_keys = false;
  int64_t drain_time_s = 30;  // After SIGTERM, for what is open.
  // Before that, from when the control plane is told that this proxy ends, until it says that others know: at most.
  int64_t drain_announce_ms = 5'000;
  // Where /stats/prometheus alone is; empty: nowhere but at the admin's.
  std::string metrics_address;
  // How often the mesh's control plane is told the metrics of hops; 0: never.
  int64_t metrics_interval_ms = 5'000;
  // Where the proxy writes a byte when it has come so far, for who supervises it; -1: nowhere. Such a proxy, told to
  // end, drains inbound and serves outbound until it is told a second time.
  int progress_fd = -1;
};

constexpr char kProgressReady = 'r';
constexpr char kProgressInboundDrained = 'd';

// Parses. `exit_code` ≥ 0: there is nothing to run (--help, --version, a wrong option; the text has been printed).
Options parse_options(int argc, char** argv, int* exit_code);

// Whole CPUs that this process may use: the lesser of its affinity and its cgroup's quota, rounded up; at least 1.
uint32_t available_cpus();

// "weft-proxy 0.1.0 (commit abc1234, release)".
std::string version_text();
std::string_view commit();

}  // namespace weft::server
