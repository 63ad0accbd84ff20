#pragma once

#include <cstdint>
#include <limits>
#include <vector>

// When an application and the proxy beside it begin and end, under `weft-proxy run`: the application is held until the
// proxy is ready, the proxy's inbound side drains before the application is stopped, and its outbound side lasts until
// the application has ended; all of that within one time. Decides, and does nothing. One thread.

namespace weft::lifecycle {

struct Action {
  enum class Kind : uint8_t {
    kStartApplication,
    kSignalApplication,  // value: the signal's number
    kSignalProxy,        // value: the signal's number
    kEnd,                // value: the exit code
  };
  Kind kind;
  int value = 0;
  bool operator==(const Action&) const = default;
};

class Lifecycle {
 public:
  struct Times {
    // From the signal that ends all to the end, however slow anybody is. The last third of it is the application's, if
    // inbound exchanges do not end before.
    int64_t stop_ms = 25'000;
    // For the proxy's last words when the application ended by itself.
    int64_t farewell_ms = 5'000;
  };
  using Actions = std::vector<Action>;
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  explicit Lifecycle(Times times) : times_(times) {}

  // The proxy serves.
  Actions on_ready(int64_t now_ms);
  // The proxy, told to end by a first SIGTERM, takes nothing inbound any more and has nothing open.
  Actions on_inbound_drained(int64_t now_ms);
  // SIGTERM and SIGINT end all, a second one without patience; others are the application's.
  Actions on_signal(int number, int64_t now_ms);
  // Codes as a shell tells them: 128 + the signal's number for who was killed.
  Actions on_application_ended(int exit_code, int64_t now_ms);
  Actions on_proxy_ended(int exit_code, int64_t now_ms);
  // To be called once deadline_ms() has come.
  Actions on_time(int64_t now_ms);
  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  enum class State : uint8_t {
    kStarting,     // The proxy; the application is held.
    kRunning,      // Both.
    kDraining,     // The proxy drains inbound; the application goes on.
    kStopping,     // The application was told to end; the proxy's outbound side goes on.
    kKilling,      // As kStopping; it was not asked.
    kFarewell,     // The application has ended; the proxy says goodbye.
    kEnding,       // The proxy was told a second time.
    kProxyKilled,  // It did not end by itself.
    kOver,
  };
  Actions stop_application();
  Actions end_proxy(int64_t now_ms);

  const Times times_;
  State state_ = State::kStarting;
  bool proxy_runs_ = true;
  int exit_code_ = 0;
  int64_t stop_at_ms_ = kNever;  // When all is to be over.
  int64_t deadline_ms_ = kNever;
};

}  // namespace weft::lifecycle
