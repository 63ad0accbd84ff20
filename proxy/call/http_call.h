#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/call/host_claim.h"
#include "proxy/cluster/cluster.h"
#include "proxy/event/timer.h"
#include "proxy/pool/worker_context.h"

// A request of the proxy's own, on a worker, over a cluster's pool: one attempt, its answer read whole within a bound.
// One that met an idle connection which had ended is made again, once, on a new connection to the same host, if its
// method is idempotent or nothing of it was written (RFC 9112, 9.3.1). Owned by itself from start() until its HTTP
// stream is closed; whoever started it holds a pointer, good until an event or cancel(). One thread.

namespace weft::call {

struct HttpRequest {
  std::string cluster;
  std::string method = "GET";
  std::string authority;
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool always_says_length = false;  // content-length: 0 also where the method has no body.
  int64_t timeout_ms = 1000;        // Over all, the wait for a connection included; 0: none.
  uint32_t max_answer_bytes = 1024 * 1024;
};

struct HttpAnswer {
  const http::ResponseHead& head;
  std::string_view body;
};

class HttpCall final : public event::Deferred,
                       private codec::ResponseEvents,
                       private pool::StreamWaiter,
                       private event::NextTurnTask {
 public:
  // Exactly one call, never from within start().
  class Events {
   public:
    // The answer lives for the call.
    virtual void on_call_answer(const HttpAnswer& answer) = 0;
    // A sentence that says what failed and where.
    virtual void on_call_failed(std::string_view reason) = 0;

   protected:
    ~Events() = default;
  };

  // Never nullptr.
  static HttpCall* start(pool::WorkerContext& context, HttpRequest request, Events& events);
  // No event follows.
  void cancel();

 private:
  HttpCall(pool::WorkerContext& context, HttpRequest request, Events& events);

  void send();
  bool goes_again(codec::ResetReason reason) const;
  void finish_answered();
  void fail(std::string_view reason);
  void fail_with(http::Cause cause, std::string_view detail);
  void release();
  void destroy();
  void on_timeout();

  // codec::ResponseEvents
  base::Arena& arena() override { return arena_; }
  http::ResponseHead& response_head() override { return response_; }
  void on_informational() override {}
  void on_response_head(bool end) override;
  void on_body(base::Buffer& data, bool end) override;
  void on_trailers(http::HeaderMap&) override { finish_answered(); }
  void on_reset(codec::ResetReason reason, http::Cause cause) override;
  void on_send_blocked(bool) override {}  // All that is sent is one bounded body.
  void on_stream_closed() override;
  // event::NextTurnTask
  void on_next_turn() override;
  // pool::StreamWaiter
  codec::ResponseEvents& response_events() override { return *this; }
  void on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) override;
  void on_stream_failed(http::Cause cause, std::string_view detail) override { fail_with(cause, detail); }
  cluster::Priority priority() const override { return cluster::Priority::kDefault; }
  http::Version downstream_version() const override { return http::Version::kHttp11; }
  bool wants_tunnel() const override { return false; }
  bool wants_new_connection() const override { return again_; }
  std::string_view server_name() const override;

  pool::WorkerContext& context_;
  HttpRequest request_;
  Events* events_;  // nullptr: told, or cancelled.
  event::Timer timer_;
  cluster::ClusterPtr cluster_;
  HostClaim claim_;
  base::Arena arena_;
  http::ResponseHead response_;
  std::string body_;
  codec::ClientStream* stream_ = nullptr;
  pool::UpstreamConnection* connection_ = nullptr;
  bool again_ = false;     // The connection of the first attempt had ended; this is the second.
  bool ended_ = false;     // The answer came whole.
  bool over_ = false;      // The HTTP stream has ended by itself.
  bool released_ = false;  // Nobody wants anything of it any more.
};

}  // namespace weft::call
