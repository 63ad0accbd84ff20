#include "proxy/server/supervisor.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "api/text/cat.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/lifecycle/lifecycle.h"
#include "proxy/server/server.h"
#include "proxy/transport/socket.h"

namespace weft::server {
namespace {

using lifecycle::Action;
using lifecycle::Lifecycle;
using text::cat;

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
// As a shell's, of a program that is not there, and of one that cannot be run.
constexpr int kNotFound = 127;
constexpr int kNotRunnable = 126;
constexpr int kSignalled = 128;

int exit_code_of(int state) { return WIFEXITED(state) ? WEXITSTATUS(state) : kSignalled + WTERMSIG(state); }

// In a new child, before it becomes what it is to be. A parent that is killed takes it along.
void become_child(pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) raise(SIGTERM);
}

class Supervisor {
 public:
  explicit Supervisor(Options options)
      : options_(std::move(options)), lifecycle_({options_.run->stop_time_s * 1000, kFarewellMs}) {}

  int run() {
    if (absl::Status status = open(); !status.ok()) {
      base::log_error(cat("weft-proxy run: ", status.message()));
      return kNotRunnable;
    }
    if (!start_proxy()) return kNotRunnable;
    while (!over_) wait();
    return exit_code_;
  }

 private:
  static constexpr int64_t kFarewellMs = 5'000;

  absl::Status open() {
    sigset_t set;
    sigemptyset(&set);
    for (int number : kSignals) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = transport::Descriptor(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    int ends[2];
    if (!signals_.open() || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
      return absl::InternalError(cat("no signalfd or pipe: ", strerror(errno)));
    }
    words_ = transport::Descriptor(ends[0]);
    proxys_end_ = transport::Descriptor(ends[1]);
    return absl::OkStatus();
  }

  static int64_t now_ms() { return base::system_clock().monotonic_ns() / 1'000'000; }

  bool start_proxy() {
    pid_t parent = getpid();
    proxy_ = fork();
    if (proxy_ < 0) {
      base::log_error(cat("weft-proxy run: no process for the proxy: ", strerror(errno)));
      return false;
    }
    if (proxy_ == 0) {
      over_ = true;
      exit_code_ = be_proxy(parent);
      return true;
    }
    proxys_end_.reset();
    return true;
  }

  // The child's whole life.
  int be_proxy(pid_t parent) {
    words_.reset();
    signals_.reset();
    // What a terminal sends goes to the application and to us, and from us here when it is time.
    setpgid(0, 0);
    absl::Status status = complete(*options_.sidecar);
    if (status.ok()) status = become_user();
    // What only root may read was read by complete(), and is not read again.
    std::string& token_file = options_.sidecar->token_file;
    if (!token_file.empty() && access(token_file.c_str(), R_OK) != 0) token_file.clear();
    become_child(parent);
    if (!status.ok()) {
      base::log_error(cat("weft-proxy run: ", status.message()));
      return kNotRunnable;
    }
    options_.progress_fd = proxys_end_.get();
    return Server(std::move(options_)).run();
  }

  // The rules of interception know the proxy by its user.
  absl::Status become_user() const {
    if (geteuid() != 0) return absl::OkStatus();
    if (setgroups(0, nullptr) == 0 && setgid(options_.run->gid) == 0 && setuid(options_.run->uid) == 0) {
      return absl::OkStatus();
    }
    return absl::PermissionDeniedError(cat("the proxy cannot run as user ", options_.run->uid, " and group ",
                                           options_.run->gid, ": ", strerror(errno)));
  }

  void start_application() {
    pid_t parent = getpid();
    std::vector<char*> words;
    for (std::string& word : options_.run->application) words.push_back(word.data());
    words.push_back(nullptr);
    // The join token is the proxy's secret.
    std::vector<char*> environment;
    for (char** each = environ; *each != nullptr; ++each) {
      if (!std::string_view(*each).starts_with("WEFT_TOKEN=")) environment.push_back(*each);
    }
    environment.push_back(nullptr);
    application_ = fork();
    if (application_ == 0) {
      become_child(parent);
      execvpe(words[0], words.data(), environment.data());
      int error = errno;
      base::log_error(cat("weft-proxy run: ", options_.run->application[0], " cannot be run: ", strerror(error)));
      _exit(error == ENOENT ? kNotFound : kNotRunnable);
    }
    if (application_ > 0) return;
    base::log_error(cat("weft-proxy run: no process for the application: ", strerror(errno)));
    act(lifecycle_.on_application_ended(kNotRunnable, now_ms()));
  }

  void wait() {
    int64_t left_ms = lifecycle_.deadline_ms() == Lifecycle::kNever
                          ? -1
                          : std::clamp<int64_t>(lifecycle_.deadline_ms() - now_ms(), 0, 60'000);
    // A pipe whose other end is closed would be ready for ever.
    struct pollfd ready[] = {{signals_.get(), POLLIN, 0}, {words_.get(), POLLIN, 0}};
    poll(ready, words_.open() ? 2 : 1, static_cast<int>(left_ms));
    if (words_.open() && ready[1].revents != 0) hear_proxy();
    if (ready[0].revents != 0) take_signals();
    if (!over_) act(lifecycle_.on_time(now_ms()));
  }

  void hear_proxy() {
    char word;
    ssize_t got = read(words_.get(), &word, 1);
    if (got == 0) words_.reset();
    if (got != 1) return;
    if (word == kProgressReady) act(lifecycle_.on_ready(now_ms()));
    if (word == kProgressInboundDrained) act(lifecycle_.on_inbound_drained(now_ms()));
  }

  void take_signals() {
    struct signalfd_siginfo info;
    while (!over_ && read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      auto number = static_cast<int>(info.ssi_signo);
      if (number != SIGCHLD) act(lifecycle_.on_signal(number, now_ms()));
    }
    // One SIGCHLD may stand for several children; as process 1 of a container, also for such as are not ours.
    int state = 0;
    pid_t ended;
    while (!over_ && (ended = waitpid(-1, &state, WNOHANG)) > 0) {
      if (ended == proxy_) {
        proxy_ = -1;
        act(lifecycle_.on_proxy_ended(exit_code_of(state), now_ms()));
      } else if (ended == application_) {
        application_ = -1;
        act(lifecycle_.on_application_ended(exit_code_of(state), now_ms()));
      }
    }
  }

  void act(const Lifecycle::Actions& actions) {
    for (const Action& action : actions) {
      switch (action.kind) {
        case Action::Kind::kStartApplication:
          start_application();
          break;
        case Action::Kind::kSignalApplication:
          if (application_ > 0) kill(application_, action.value);
          break;
        case Action::Kind::kSignalProxy:
          if (proxy_ > 0) kill(proxy_, action.value);
          break;
        case Action::Kind::kEnd:
          over_ = true;
          exit_code_ = action.value;
          break;
      }
    }
  }

  Options options_;
  Lifecycle lifecycle_;
  transport::Descriptor signals_, words_, proxys_end_;
  pid_t proxy_ = -1;
  pid_t application_ = -1;
  bool over_ = false;
  int exit_code_ = 0;
};

}  // namespace

int run_supervised(Options options) { return Supervisor(std::move(options)).run(); }

}  // namespace weft::server
