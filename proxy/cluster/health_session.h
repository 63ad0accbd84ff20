#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/base/arena.h"
#include "proxy/cluster/health_check.h"
#include "proxy/codec/codec.h"

// The checks of one host by one policy, one at a time, and the connection they use. Owned by its HealthChecker. Main
// thread.

namespace weft::cluster {

class HealthSession final : private transport::ByteStream::Events,
                            private codec::ResponseEvents,
                            private event::TurnEndTask {
 public:
  HealthSession(HealthChecker& owner, const HealthCheckPolicy& policy, HostPtr host);
  ~HealthSession();

  const HostPtr& host() const { return host_; }
  void start();
  bool checked() const { return checked_; }
  // Until its first check a host counts as failed.
  bool failed() const { return failed_; }

 private:
  // A failure that the host itself told is believed at once; one of the network only after the threshold.
  enum class Verdict : uint8_t { kHealthy, kUnhealthy, kNetworkFailure };

  void on_interval();
  void on_timeout();
  void connect();
  void send_request();
  void send_grpc_body();
  void judge_answer();
  void match_tcp();
  void conclude(Verdict verdict);
  void note_healthy();
  void note_failure(Verdict verdict);
  // Ends the connection; the stream goes at the end of the turn, as this may run inside of it. Not from within the
  // codec.
  void drop_connection();
  // The same at the end of the turn, from anywhere.
  void drop_at_turn_end();
  void receive();
  void schedule_flush() { owner_.loop_.at_turn_end(*this); }

  // ByteStream::Events
  void on_connected() override;
  void on_readable() override;
  void on_writable() override { schedule_flush(); }
  void on_connect_failed() override { conclude(Verdict::kNetworkFailure); }
  // codec::ResponseEvents
  base::Arena& arena() override { return arena_; }
  http::ResponseHead& response_head() override { return response_; }
  void on_informational() override {}
  void on_response_head(bool end) override;
  void on_body(base::Buffer& data, bool end) override;
  void on_trailers(http::HeaderMap& trailers) override;
  void on_reset(codec::ResetReason reason, http::Cause cause) override;
  void on_send_blocked(bool) override {}
  void on_stream_closed() override { exchange_ = nullptr; }
  // event::TurnEndTask
  void on_turn_end() override;

  HealthChecker& owner_;
  const HealthCheckPolicy& policy_;
  HostPtr host_;
  event::Timer interval_timer_;
  event::Timer timeout_timer_;
  std::unique_ptr<transport::ByteStream> stream_;
  std::unique_ptr<codec::ClientCodec> codec_;
  codec::ClientStream* exchange_ = nullptr;
  base::Arena arena_;
  http::ResponseHead response_;
  base::Buffer input_;
  base::Buffer tcp_output_;
  std::string answer_;  // Of gRPC, and of TCP: what came so far. Bounded.
  std::optional<int> grpc_status_;
  uint32_t healthy_in_row_ = 0;
  uint32_t failures_in_row_ = 0;
  bool checking_ = false;
  bool checked_ = false;
  bool failed_ = true;
  bool reused_ = false;
  bool drop_ = false;
  bool reconnect_ = false;  // After dropping.
};

}  // namespace weft::cluster
