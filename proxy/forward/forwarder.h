#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "proxy/base/buffer.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/event/timer.h"
#include "proxy/forward/attempt.h"
#include "proxy/forward/deadlines.h"
#include "proxy/forward/retry.h"
#include "proxy/observe/request_record.h"
#include "proxy/pool/worker_context.h"
#include "proxy/route/route.h"

// The end of every filter chain: gives a request to an upstream, as many times as the retry policy allows, and the
// answer back to the stream. Part of its stream's memory; one thread. The stream must outlive all tries: it waits for
// idle() before it goes.

namespace weft::forward {

// What the forwarder tells its stream.
class ForwardEvents {
 public:
  virtual base::Arena& arena() = 0;
  virtual void on_forward_informational(http::ResponseHead& head) = 0;
  virtual void on_forward_head(http::ResponseHead& head, bool end) = 0;
  virtual void on_forward_body(base::Buffer& data, bool end) = 0;
  virtual void on_forward_trailers(http::HeaderMap& trailers) = 0;
  // No answer, or no more of it, will come. `detail` holds particulars and lives as long as the call.
  virtual void on_forward_failed(http::Cause cause, std::string_view detail) = 0;
  // Stop (or go on) sending body: what was sent waits for the upstream.
  virtual void on_forward_blocked(bool blocked) = 0;
  // idle() has become true.
  virtual void on_forward_idle() = 0;

 protected:
  ~ForwardEvents() = default;
};

struct ForwardPlan {
  const route::ClusterAction* action = nullptr;
  pool::WorkerCluster* cluster = nullptr;
  std::shared_ptr<const route::RetryPolicy> callers_retry;  // In place of the action's, if there is one.
  Deadlines deadlines;
  std::optional<uint64_t> hash;                              // For balancers that hash.
  uint64_t replay_limit_bytes = 0;                           // Request body kept for retries.
  const transport::Address* original_destination = nullptr;  // As BalanceContext has it.
  bool send_expected_timeout = true;
  bool include_attempt_count = false;
  bool name_ends = false;  // The record's `ends` are filled in.

  const route::RetryPolicy* retry() const {
    if (callers_retry != nullptr) return callers_retry.get();
    return action->retry ? &*action->retry : nullptr;
  }
};

class Forwarder {
 public:
  Forwarder(pool::WorkerContext& context, ForwardEvents& events, http::RequestHead& request,
            observe::RequestRecord& record);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // Begins; `end`: the request has no body. `plan` is copied; what it points to outlives the stream.
  void start(const ForwardPlan& plan, bool end);
  void send_body(base::Buffer& data, bool end);
  void send_trailers(const http::HeaderMap& trailers);
  // Flow control of the answer.
  void pause_response(bool paused);
  // The stream no longer wants an answer. No event but on_forward_idle() follows.
  void cancel();
  // No try is open or waits.
  bool idle() const { return attempts_.empty() && !back_off_timer_.armed(); }
  bool started() const { return plan_.action != nullptr; }
  // Of the plan, once started; it is held as long as this lives.
  pool::WorkerCluster& cluster() { return *cluster_; }
  const cluster::Host* host() const { return committed_ == nullptr ? nullptr : committed_->host().get(); }

 private:
  friend class Attempt;

  // From the attempts.
  void on_ready(Attempt& attempt);
  void on_answer(Attempt& attempt, bool end);
  void on_failure(Attempt& attempt, codec::ResetReason reason, http::Cause cause, std::string_view detail);
  void on_closed(Attempt& attempt);
  void on_per_try_timeout(Attempt& attempt);
  void on_answer_end(Attempt& attempt);

  void begin_try();
  // For the next try; nullptr, and why is told: there is none.
  cluster::HostPtr choose_host();
  void send_request(Attempt& attempt);
  // What one side's version of HTTP asks of an upgrade and the other's does not have. Both say what is wrong, if
  // anything is.
  std::string_view begin_upgrade(Attempt& attempt);
  std::string_view finish_upgrade(Attempt& attempt);
  void give_up(Attempt& attempt, http::Cause cause, std::string_view detail);
  void set_remaining_time();
  // Starts another try if the verdict and the limits allow it.
  bool retry(Attempt* failed, const TryOutcome& outcome);
  void fail(http::Cause cause, std::string_view detail);
  void request_ended();
  void on_route_timeout();
  void on_back_off_over();
  void hold_body(base::Buffer& data);
  void block(bool blocked);
  int64_t remaining_ms() const;
  cluster::Priority priority() const;
  // The request is a CONNECT that the route ends here: its upstream speaks no HTTP.
  bool ends_connect() const;
  // Nothing further is tried or told: timers, held memory and the breakers' retry are given back.
  void finish();

  pool::WorkerContext& context_;
  ForwardEvents& events_;
  http::RequestHead& request_;
  observe::RequestRecord& record_;
  ForwardPlan plan_;
  pool::WorkerCluster* cluster_ = nullptr;  // Held.

  Attempt* current_ = nullptr;                      // The try that is waiting for a connection or an answer.
  Attempt* committed_ = nullptr;                    // The one whose answer goes to the stream.
  base::IntrusiveList<Attempt, Attempt> attempts_;  // Owned; each goes when its stream is closed.

  base::Buffer replay_;  // The request's body so far, while it may have to be sent (again).
  bool replayable_ = true;
  const http::HeaderMap* trailers_ = nullptr;
  bool request_ended_ = false;
  bool blocked_ = false;
  bool finished_ = false;
  bool retry_held_ = false;  // One of the breakers' retries is ours.
  bool response_paused_ = false;
  uint32_t policy_retries_ = 0;
  uint32_t free_retries_ = 0;
  int64_t request_deadline_ms_ = 0;  // Loop time; 0: none (yet).
  int64_t stream_deadline_ms_ = 0;
  cluster::Host* tried_hosts_[8] = {};
  uint32_t tried_count_ = 0;
  cluster::HostPtr stale_host_;      // Its idle connection had ended: the next try goes there again, on a new one.
  bool had_new_connection_ = false;  // There was such a try.
  cluster::HostPtr named_host_;      // What the record tells of outlives its try.
  std::shared_ptr<const observe::ConnectionPrincipals> named_connection_;
  std::string_view websocket_accept_;  // What proves the WebSocket handshake, where we are one end of it.
  event::Timer route_timer_;
  event::Timer back_off_timer_;
};

}  // namespace weft::forward
