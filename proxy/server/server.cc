#include "proxy/server/server.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "proxy/server/admin_pages.h"

namespace weft::server {
namespace {

constexpr int64_t kHouseMs = 500;
constexpr int64_t kDrainCheckMs = 20;
constexpr int64_t kLogFlushMs = 2'000;
// How long names may hold up the start; what answers later is used from then on.
constexpr int64_t kDiscoveryWaitMs = 5'000;

void say(const std::string& line) {
  // What a person or a script waits for: where we listen. Not the log, whose level may hide it.
  fprintf(stdout, "%s\n", line.c_str());
  fflush(stdout);
}

int fail(const absl::Status& status) {
  fprintf(stderr, "weft-proxy: %s\n", std::string(status.message()).c_str());
  return 1;
}

absl::StatusOr<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read: ", strerror(errno)));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return text;
}

void raise_descriptor_limit() {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

struct Server::Signals final : event::IoEvents {
  explicit Signals(Server& server) : server(server) {
    sigset_t set = handled_signals();
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    watch.start_level(server.loop_, fd, *this, true, false);
  }
  ~Signals() {
    watch.stop();
    close(fd);
  }
  void on_io(bool, bool) override {
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof(info)) == sizeof(info)) server.on_signal(static_cast<int>(info.ssi_signo));
  }
  Server& server;
  int fd = -1;
  event::IoWatch watch;
};

Server::Server(Options options)
    : options_(std::move(options)),
      loop_(base::system_clock()),
      random_(base::system_seed()),
      ready_timer_(loop_.timers(), base::bind<&Server::on_discovery_over>(this)),
      house_timer_(loop_.timers(), base::bind<&Server::keep_house>(this)),
      announce_timer_(loop_.timers(), base::bind<&Server::on_announced>(this)),
      inbound_timer_(loop_.timers(), base::bind<&Server::check_inbound_drained>(this)),
      drain_timer_(loop_.timers(), base::bind<&Server::check_drained>(this)) {}

Server::~Server() = default;

std::string Server::source_name() const { return options_.sidecar ? "the sidecar's bootstrap" : options_.config_path; }

absl::Status Server::load(uint32_t workers) {
  absl::StatusOr<std::string> text =
      options_.sidecar ? config::sidecar_bootstrap(options_.sidecar->options) : read_file(options_.config_path);
  if (!text.ok()) return text.status();
  config::CompileOptions compile;
  compile.workers = workers;
  compile.allow_unsupported = options_.allow_unsupported;
  compile.open_files = !options_.validate;
  if (options_.sidecar && config::has_identity(options_.sidecar->options)) compile.own_secret = "default";
  absl::StatusOr<config::CompiledBootstrap> config = config::compile_bootstrap(*text, source_name(), compile);
  if (!config.ok()) return config.status();
  config_ = *std::move(config);
  return absl::OkStatus();
}

int Server::run() {
  base::set_log_level(options_.log_level);
  // Before the first thread, so that every one inherits the mask and signals come by the signalfd alone.
  sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  uint32_t workers = options_.concurrency != 0 ? options_.concurrency : available_cpus();

  if (options_.sidecar) {
    if (absl::Status status = complete(*options_.sidecar); !status.ok()) return fail(status);
    if (options_.sidecar->print_bootstrap) {
      say(config::sidecar_bootstrap(options_.sidecar->options, true));
      return 0;
    }
  }
  if (absl::Status status = load(workers + 1); !status.ok()) return fail(status);
  for (const std::string& warning : config_.warnings) fprintf(stderr, "warning: %s\n", warning.c_str());
  if (options_.validate) {
    say(absl::StrCat("configuration '", source_name(), "' OK"));
    return 0;
  }

  std::optional<config::KeptConfig::Options> kept;
  if (!options_.keep_config_dir.empty()) {
    kept = {options_.keep_config_dir, config_.node_id, options_.keep_private_keys};
    if (absl::Status status = config::KeptConfig::check(*kept); !status.ok()) return fail(status);
  }

  raise_descriptor_limit();
  for (uint32_t i = 1; i <= workers; ++i) {
    workers_.push_back(std::make_unique<WorkerThread>(i, base::system_clock(), base::system_seed()));
  }
  std::function<absl::StatusOr<std::string>()> read_token;
  if (options_.sidecar && !options_.sidecar->token_file.empty()) {
    read_token = [file = options_.sidecar->token_file] { return read_token_file(file); };
  }
  dns_ = make_dns();
  live_ = std::make_unique<LiveConfig>(
      loop_, random_, config_, workers_,
      LiveConfig::Options{version_text(), options_.drain_time_s * 1000, say, options_.metrics_interval_ms,
                          std::move(kept), std::move(read_token), dns_.get(),
                          dns_ == nullptr ? nullptr : &dns_->loop()});
  if (!start()) return 1;
  loop_.run();

  self_test_.reset();
  health_port_.reset();
  app_probes_.reset();
  admin_.reset();
  metrics_.reset();
  signals_.reset();
  for (auto& worker : workers_) worker->stop();
  for (auto& worker : workers_) worker->join();
  live_.reset();
  dns_.reset();
  if (config_.parts->log_writer != nullptr) config_.parts->log_writer->flush(kLogFlushMs);
  return 0;
}

bool Server::start() {
  started_ms_ = loop_.now_ms();
  start_wall_s_ = loop_.wall_ns() / 1'000'000'000;
  if (absl::Status opened = live_->open_listeners(); !opened.ok()) return fail(opened) == 0;
  if (config_.has_admin) {
    admin_ = std::make_unique<AdminServer>(
        loop_, [this](const AdminRequest& request, AdminReply reply) { reply(admin_page(*this, request)); },
        config_.admin_access_logs);
    absl::StatusOr<transport::Address> address = admin_->start(config_.admin_address);
    if (!address.ok()) {
      return fail(absl::InternalError(absl::StrCat("admin: ", address.status().message()))) == 0;
    }
    admin_address_ = *address;
  }
  if (absl::Status status = start_metrics(); !status.ok()) return fail(status) == 0;
  if (absl::Status health = start_health_port(); !health.ok()) return fail(health) == 0;
  if (dns_ != nullptr) {
    if (absl::Status dns = dns_->start(); !dns.ok()) return fail(dns) == 0;
    for (const transport::Address& address : dns_->addresses()) {
      say(absl::StrCat("DNS listening on ", address.to_string()));
    }
  }
  signals_ = std::make_unique<Signals>(*this);
  start_after_interception();
  return true;
}

absl::Status Server::start_metrics() {
  if (options_.metrics_address.empty()) return absl::OkStatus();
  config::HostPort at;
  config::parse_host_port(options_.metrics_address, &at);
  metrics_ = std::make_unique<AdminServer>(
      loop_, [this](const AdminRequest& request, AdminReply reply) { reply(metrics_page(*this, request)); },
      std::vector<std::shared_ptr<observe::AccessLog>>());
  absl::StatusOr<transport::Address> address = metrics_->start(transport::Address::parse_ip(at.host, at.port));
  if (!address.ok()) return absl::InternalError(absl::StrCat("--metrics-address: ", address.status().message()));
  metrics_address_ = *address;
  return absl::OkStatus();
}

std::unique_ptr<DnsThread> Server::make_dns() const {
  if (!options_.sidecar || !options_.sidecar->options.interception.dns) return nullptr;
  DnsThread::Options dns;
  dns.addresses.push_back(transport::Address::parse_ip("127.0.0.1", options_.sidecar->dns_port));
  if (options_.sidecar->options.interception.ipv6) {
    dns.addresses.push_back(transport::Address::parse_ip("::1", options_.sidecar->dns_port));
  }
  return std::make_unique<DnsThread>(base::system_clock(), base::system_seed(), std::move(dns));
}

absl::Status Server::start_health_port() {
  if (!options_.sidecar || options_.sidecar->health_port.value_or(0) == 0) return absl::OkStatus();
  const SidecarCommand& sidecar = *options_.sidecar;
  if (!sidecar.app_probes.empty()) {
    auto probes =
        parse_app_probes(sidecar.app_probes, transport::Address::parse_ip(sidecar.options.inbound_address, 0));
    if (!probes.ok()) return probes.status();
    app_probes_ = std::make_unique<AppProbes>(loop_, random_, *std::move(probes), sidecar.options.interception.on);
  }
  health_port_ = std::make_unique<HealthPort>(loop_, *this, app_probes_.get());
  absl::Status started = health_port_->start(*sidecar.health_port, sidecar.has_ipv6);
  if (started.ok()) return started;
  return absl::InternalError(absl::StrCat("health port: ", started.message()));
}

void Server::start_after_interception() {
  if (!options_.sidecar || !options_.sidecar->options.interception.on) return start_discovery();
  const SidecarCommand& sidecar = *options_.sidecar;
  intercept::SelfTest::Options test;
  test.outbound_port = sidecar.options.outbound_port;
  test.inbound_port = sidecar.options.inbound_port;
  if (sidecar.options.interception.dns) test.dns_port = sidecar.dns_port;
  test.own.push_back(transport::Address::parse_ip(sidecar.options.inbound_address, 0));
  for (const transport::Address& more : sidecar.own_addresses) {
    if (more.family != test.own.front().family) test.own.push_back(more);
  }
  self_test_ = std::make_unique<intercept::SelfTest>(loop_, std::move(test), [this] { start_discovery(); });
  self_test_->start();
}

std::string Server::awaited() const {
  if (self_test_ != nullptr && !self_test_->lacks().empty()) return absl::StrCat("interception: ", self_test_->lacks());
  return live_->awaited();
}

bool Server::report_progress(char word) {
  return options_.progress_fd >= 0 && write(options_.progress_fd, &word, 1) == 1;
}

void Server::start_discovery() {
  live_->start([this] {
    ready_ = true;
    ready_timer_.arm(0);
  });
  if (!ready_ && !live_->has_sources()) ready_timer_.arm(kDiscoveryWaitMs);
}

void Server::on_discovery_over() {
  if (ready_) return start_workers();
  base::log_warning("some clusters' names or hosts have not answered yet; serving without them");
  live_->go_on_without_clusters();
}

void Server::start_workers() {
  if (state_ != State::kStarting) return;
  // What parsing and compiling needed, what came by discovery too, is several times what is left of them.
  malloc_trim(0);
  for (auto& worker : workers_) worker->start(config_.parts->access_logs);
  state_ = State::kLive;
  house_timer_.arm(kHouseMs);
  live_->on_workers_started();
  if (metrics_ != nullptr) say(absl::StrCat("metrics listening on ", metrics_address_.to_string()));
  report_progress(kProgressReady);
  if (config_.has_admin) say(absl::StrCat("admin listening on ", admin_address_.to_string()));
}

void Server::on_signal(int number) {
  switch (number) {
    case SIGHUP:
    case SIGUSR1:
      for (auto& log : config_.parts->access_logs) log->reopen();
      for (auto& log : config_.admin_access_logs) log->reopen();
      base::log_info("access logs were opened anew");
      return;
    default:
      if (state_ == State::kDraining && drain_deadline_ms_ != 0) {
        base::log_info("a second signal: ending at once");
        loop_.stop();
        return;
      }
      shut_down();
  }
}

void Server::drain_listeners() {
  if (state_ == State::kStarting) return;
  state_ = State::kDraining;
  live_->stop_listening();
  for (auto& worker : workers_) worker->stop_listeners();
}

void Server::shut_down() {
  if (drain_deadline_ms_ != 0) return;
  if (state_ == State::kStarting) return loop_.stop();
  state_ = State::kDraining;
  live_->reporter().set_draining(base::bind<&Server::on_announced>(this));
  int64_t announce_ms = live_->reporter().connected() ? options_.drain_announce_ms : 0;
  drain_deadline_ms_ = loop_.now_ms() + announce_ms + options_.drain_time_s * 1000 + 1;
  is_announcing_ = true;
  if (announce_ms == 0) return on_announced();
  base::log_info(
      absl::StrCat("the control plane is told; serving on until others know, for at most ", announce_ms, " ms"));
  announce_timer_.arm(announce_ms);
}

void Server::on_announced() {
  if (!std::exchange(is_announcing_, false)) return;
  announce_timer_.disarm();
  drain_inbound();
}

void Server::drain_inbound() {
  if (!live_->drain_inbound() && options_.progress_fd < 0) return drain();
  base::log_info(
      absl::StrCat("draining: inbound connections have ", options_.drain_time_s, " s to end; outbound goes on"));
  inbound_timer_.arm(0);
}

void Server::check_inbound_drained() {
  bool over = loop_.now_ms() >= drain_deadline_ms_;
  if (!over && !live_->inbound_drained()) return inbound_timer_.arm(kDrainCheckMs);
  if (over || !report_progress(kProgressInboundDrained)) return drain();
  // Whoever supervises ends the outbound side when the application has ended; by the time given to all at the latest.
  announce_timer_.disarm();
  drain_timer_.arm(std::max<int64_t>(drain_deadline_ms_ - loop_.now_ms(), 1));
}

void Server::drain() {
  base::log_info(
      absl::StrCat("draining: ", open_connections(), " connections have ", options_.drain_time_s, " s to end"));
  live_->stop_listening();
  for (auto& worker : workers_) worker->drain();
  drain_timer_.arm(kDrainCheckMs * 2);
}

void Server::check_drained() {
  // A worker tells its count after it has drained, every 100 ms.
  bool over = loop_.now_ms() >= drain_deadline_ms_;
  if (over && open_connections() != 0) {
    base::log_warning(absl::StrCat(open_connections(), " connections did not end in time and are closed"));
  }
  if (over || open_connections() == 0) return loop_.stop();
  drain_timer_.arm(kDrainCheckMs);
}

void Server::keep_house() {
  live_->tick();
  house_timer_.arm(kHouseMs);
}

size_t Server::open_connections() const {
  size_t total = 0;
  for (const auto& worker : workers_) total += worker->open_connections();
  return total;
}

}  // namespace weft::server
