#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "api/text/cat.h"
#include "proxy/base/log.h"
#include "proxy/server/app_probes.h"
#include "proxy/server/wait_command.h"

namespace weft::server {
namespace {

constexpr char kProbe[] = "/healthz/ready";
constexpr int64_t kNeverMs = 86'400'000;
// Of one question; a sidecar that is busy is asked again.
constexpr int64_t kAnswerMs = 1'000;

std::map<std::string, AppProbe> ready_probe(uint16_t port) {
  AppProbe probe;
  probe.address = transport::Address::parse_ip("127.0.0.1", port);
  probe.policy.kind = cluster::HealthCheckPolicy::Kind::kHttp;
  probe.policy.path = kProbe;
  probe.policy.host = probe.address.to_string();
  probe.policy.timeout_ms = kAnswerMs;
  probe.policy.interval_ms = probe.policy.no_traffic_interval_ms = kNeverMs;
  probe.policy.reuse_connection = false;
  return {{kProbe, std::move(probe)}};
}

class Waiting {
 public:
  explicit Waiting(const WaitCommand& command)
      : command_(command),
        loop_(base::system_clock()),
        random_(base::system_seed()),
        probes_(loop_, random_, ready_probe(command.health_port), /*own_source=*/false),
        deadline_ms_(loop_.now_ms() + command.timeout_s * 1000),
        timer_(loop_.timers(), base::bind<&Waiting::ask>(this)) {}

  bool run() {
    timer_.arm(0);
    loop_.run();
    return ready_;
  }

 private:
  void ask() {
    probes_.check(kProbe, [this](const AdminAnswer& answer) {
      ready_ = answer.status == 200;
      if (ready_ || loop_.now_ms() >= deadline_ms_) return loop_.stop();
      timer_.arm(std::min(command_.period_ms, deadline_ms_ - loop_.now_ms()));
    });
  }

  const WaitCommand command_;
  event::LibeventLoop loop_;
  base::Random random_;
  AppProbes probes_;
  const int64_t deadline_ms_;
  event::Timer timer_;
  bool ready_ = false;
};

}  // namespace

int run_wait(const WaitCommand& command) {
  base::set_log_level(base::LogLevel::kOff);
  if (Waiting(command).run()) return 0;
  base::set_log_level(base::LogLevel::kError);
  base::log_error(text::cat("weft-proxy wait: the sidecar is not ready after ", command.timeout_s,
                            " s; http://127.0.0.1:", command.health_port, kProbe, " says what it waits for"));
  return 1;
}

}  // namespace weft::server
