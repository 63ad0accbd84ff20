#include "proxy/lifecycle/lifecycle.h"

#include <signal.h>

#include <algorithm>

namespace weft::lifecycle {
namespace {

using Kind = Action::Kind;

constexpr int kSignalled = 128;
constexpr int kProxyFailed = 1;
// What the proxy needs to end at once.
constexpr int64_t kEndMs = 1'000;

}  // namespace

Lifecycle::Actions Lifecycle::on_ready(int64_t) {
  if (state_ != State::kStarting) return {};
  state_ = State::kRunning;
  return {{Kind::kStartApplication}};
}

Lifecycle::Actions Lifecycle::on_inbound_drained(int64_t now_ms) {
  if (state_ == State::kDraining) return stop_application();
  if (state_ == State::kFarewell) return end_proxy(now_ms);
  return {};
}

Lifecycle::Actions Lifecycle::on_signal(int number, int64_t now_ms) {
  bool ends = number == SIGTERM || number == SIGINT;
  switch (state_) {
    case State::kStarting:
      if (!ends) return {};
      exit_code_ = kSignalled + number;
      return end_proxy(now_ms);
    case State::kRunning:
      if (!ends) return {{Kind::kSignalApplication, number}};
      state_ = State::kDraining;
      stop_at_ms_ = now_ms + times_.stop_ms;
      deadline_ms_ = stop_at_ms_ - times_.stop_ms / 3;
      return {{Kind::kSignalProxy, SIGTERM}};
    case State::kDraining:
      return ends ? stop_application() : Actions{{Kind::kSignalApplication, number}};
    case State::kStopping:
      return {{Kind::kSignalApplication, number}};
    default:
      return {};
  }
}

Lifecycle::Actions Lifecycle::stop_application() {
  state_ = State::kStopping;
  // The proxy ends in time, too.
  deadline_ms_ = stop_at_ms_ - kEndMs;
  return {{Kind::kSignalApplication, SIGTERM}};
}

Lifecycle::Actions Lifecycle::end_proxy(int64_t now_ms) {
  if (!proxy_runs_) {
    state_ = State::kOver;
    deadline_ms_ = kNever;
    return {{Kind::kEnd, exit_code_}};
  }
  state_ = State::kEnding;
  deadline_ms_ = now_ms + kEndMs;
  return {{Kind::kSignalProxy, SIGTERM}};
}

Lifecycle::Actions Lifecycle::on_application_ended(int exit_code, int64_t now_ms) {
  // That of a proxy which failed first stays.
  if (proxy_runs_) exit_code_ = exit_code;
  if (state_ != State::kRunning || !proxy_runs_) return end_proxy(now_ms);
  state_ = State::kFarewell;
  deadline_ms_ = now_ms + times_.farewell_ms;
  return {{Kind::kSignalProxy, SIGTERM}};
}

Lifecycle::Actions Lifecycle::on_proxy_ended(int exit_code, int64_t now_ms) {
  proxy_runs_ = false;
  switch (state_) {
    case State::kStarting:
      exit_code_ = exit_code != 0 ? exit_code : kProxyFailed;
      return end_proxy(now_ms);
    case State::kRunning:
    case State::kDraining:
      // Without it the application has no network that it may use.
      exit_code_ = kProxyFailed;
      if (stop_at_ms_ == kNever) stop_at_ms_ = now_ms + times_.stop_ms;
      return stop_application();
    case State::kStopping:
    case State::kKilling:
      exit_code_ = kProxyFailed;
      return {};
    default:
      return end_proxy(now_ms);
  }
}

Lifecycle::Actions Lifecycle::on_time(int64_t now_ms) {
  if (now_ms < deadline_ms_) return {};
  switch (state_) {
    case State::kDraining:
      return stop_application();
    case State::kStopping:
      state_ = State::kKilling;
      deadline_ms_ = kNever;
      return {{Kind::kSignalApplication, SIGKILL}};
    case State::kFarewell:
      return end_proxy(now_ms);
    case State::kEnding:
      state_ = State::kProxyKilled;
      deadline_ms_ = kNever;
      return {{Kind::kSignalProxy, SIGKILL}};
    default:
      return {};
  }
}

}  // namespace weft::lifecycle
