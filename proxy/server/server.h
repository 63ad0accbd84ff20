#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/compile/compile.h"
#include "proxy/intercept/self_test.h"
#include "proxy/server/admin_server.h"
#include "proxy/server/app_probes.h"
#include "proxy/server/dns_thread.h"
#include "proxy/server/health_port.h"
#include "proxy/server/live_config.h"
#include "proxy/server/options.h"
#include "proxy/server/worker_thread.h"

// The process: compiles the bootstrap, opens what it listens on, starts the workers, and lives in the main loop with
// the admin listener, the signals and the clusters' chores until it has drained. Main thread.

namespace weft::server {

class Server {
 public:
  explicit Server(Options options);
  ~Server();
  // Runs to the end. The process's exit code.
  int run();

  // For the admin pages.
  enum class State : uint8_t { kStarting, kLive, kDraining };
  State state() const { return state_; }
  const Options& options() const { return options_; }
  const config::CompiledBootstrap& config() const { return config_; }
  const LiveConfig& live() const { return *live_; }
  uint32_t workers() const { return static_cast<uint32_t>(workers_.size()); }
  // For a person: what the start waits for; empty when for nothing.
  std::string awaited() const;
  size_t open_connections() const;
  int64_t uptime_s() const { return (loop_.now_ms() - started_ms_) / 1000; }
  int64_t start_wall_s() const { return start_wall_s_; }

  // Stops listening; open connections end as their exchanges do.
  void drain_listeners();
  // Tells the control plane, serves on until others know, then drains and ends within the drain time.
  void shut_down();

 private:
  struct Signals;
  // Of the bootstrap, for messages.
  std::string source_name() const;
  // Reads and compiles the bootstrap. `workers` counts the main thread, too.
  absl::Status load(uint32_t workers);
  // Opens what is listened on; false after telling why it cannot be.
  bool start();
  absl::Status start_metrics();
  absl::Status start_health_port();
  // nullptr where nobody is to ask.
  std::unique_ptr<DnsThread> make_dns() const;
  // Calls start_discovery(), with interception once that is proven to be in force.
  void start_after_interception();
  // False if nobody listens.
  bool report_progress(char word);
  // Finds and checks endpoints; workers start when all clusters are warm, or after a bounded wait.
  void start_discovery();
  void on_discovery_over();
  void start_workers();
  void on_signal(int number);
  // Others send nothing more, or had the time to learn that they should not.
  void on_announced();
  // Inbound listeners first, if there are any; the rest when nothing of these is open any more.
  void drain_inbound();
  void check_inbound_drained();
  void drain();
  void check_drained();
  void keep_house();

  Options options_;
  event::LibeventLoop loop_;
  config::CompiledBootstrap config_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<AdminServer> metrics_;  // --metrics-address
  std::unique_ptr<AppProbes> app_probes_;
  std::unique_ptr<HealthPort> health_port_;
  std::unique_ptr<intercept::SelfTest> self_test_;
  std::unique_ptr<Signals> signals_;
  base::Random random_;
  std::unique_ptr<DnsThread> dns_;
  std::unique_ptr<LiveConfig> live_;
  bool ready_ = false;  // All that the start waits for was found.
  event::Timer ready_timer_;
  transport::Address admin_address_;  // As bound.
  transport::Address metrics_address_;
  event::Timer house_timer_;
  event::Timer announce_timer_;
  event::Timer inbound_timer_;
  event::Timer drain_timer_;
  int64_t drain_deadline_ms_ = 0;
  bool is_announcing_ = false;
  int64_t started_ms_ = 0;
  int64_t start_wall_s_ = 0;
  State state_ = State::kStarting;
};

}  // namespace weft::server
