#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/identity/identity_stats.h"
#include "proxy/config/identity/renewal.h"
#include "proxy/config/xds/grpc_source.h"
#include "proxy/transport/signing_request.h"

// The workload's own certificate: makes a key that stays in this process, has a control plane sign a request for it
// (weft.v1.Identity), hands both out as a secret, and renews them in time, with a new key. While no control plane
// answers, what is in force goes on. Calls show the certificate that there is, and a token only without one. Main
// thread.

namespace weft::config::identity {

class IdentityClient final : public xds::Credentials, private call::GrpcStream::Events {
 public:
  struct Options {
    std::vector<xds::ControlPlane> control_planes;  // At least one; the next one is tried when one fails.
    envoy::config::core::v3::Node node;
    // The token as it is now, where it changes while the process runs. May be nullptr; an error is logged.
    std::function<absl::StatusOr<std::string>()> read_token;
    // Set while the certificate is not shown to control planes, because they do not take it.
    std::shared_ptr<std::atomic<bool>> withheld;
    // Takes the secret "default", a serialised envoy Secret. An error: it is of no use, and another is asked for.
    std::function<absl::Status(const std::string& secret)> take;
    // Connections to control planes that are there are to be used no more: new ones show something else.
    std::function<void()> reconnect;
  };
  // `context` outlives it; `context.worker` is the main thread's.
  IdentityClient(pool::WorkerContext& context, Options options);
  ~IdentityClient();

  // Asks for the first certificate. Calls `settled` once, not from within: when there is one, when the answer was no,
  // or when it takes too long; it is asked for again in either case.
  void start(std::function<void()> settled);
  // Asks for nothing more; what is in force stays.
  void stop();
  // Every half second or so.
  void tick();
  const observe::FamilyBase& family() const { return stats_; }
  // There is a certificate, and it has not expired.
  bool holds() const { return has_certificate() && wall_ms() < life_.not_after_ms; }

  bool certified() const override;
  std::string token() const override;
  void failed(int status) override;

 private:
  void ask();
  void on_grpc_open() override;
  void on_grpc_message(std::string_view message) override { answer_ = std::string(message); }
  void on_grpc_end(const call::GrpcEnd& end) override;
  void on_deadline();
  void on_settle_deadline() { settle(); }
  // What came, as a certificate in force; or why not.
  absl::Status take_answer();
  void succeeded();
  void ask_again(int status, const std::string& reason);
  void settle();
  bool has_certificate() const { return life_.not_after_ms != 0; }
  int64_t wall_ms() const { return context_.loop.wall_ns() / 1'000'000; }
  const xds::ControlPlane& control_plane() const { return options_.control_planes[at_]; }
  void set_alarm(bool alarm, const std::string& reason);

  pool::WorkerContext& context_;
  Options options_;
  observe::Family<observe::IdentityStats> stats_;
  xds::Backoff backoff_;
  event::Timer ask_timer_;
  event::Timer deadline_timer_;
  event::Timer settle_timer_;
  std::function<void()> settled_;
  call::GrpcStream* stream_ = nullptr;
  transport::SigningRequest request_;  // Of the call that is open.
  std::string answer_;
  std::string spiffe_id_;
  Life life_;  // Of the certificate in force.
  size_t at_ = 0;
  bool alarm_ = false;
};

}  // namespace weft::config::identity
