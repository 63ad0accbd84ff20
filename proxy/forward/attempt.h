#pragma once

#include "proxy/base/intrusive_list.h"
#include "proxy/codec/codec.h"
#include "proxy/event/timer.h"
#include "proxy/pool/pool.h"

// One try of a request at one host: waits for a connection, owns the upstream stream, and tells its Forwarder what
// comes back. Made from a free list of its thread; deletes itself once its stream is closed.

namespace weft::forward {

class Forwarder;

class Attempt final : public codec::ResponseEvents, public pool::StreamWaiter, public base::ListNode<Attempt> {
 public:
  Attempt(Forwarder& owner, cluster::HostPtr host, bool on_new_connection);
  ~Attempt() override;
  static void* operator new(size_t size);
  static void operator delete(void* memory, size_t size);

  const cluster::HostPtr& host() const { return host_; }
  // Of a try that is over, for who tells of it.
  cluster::HostPtr take_host() {
    account_end();
    return std::move(host_);
  }
  codec::ClientStream* stream() { return stream_; }
  pool::UpstreamConnection* connection() { return connection_; }
  http::ResponseHead& head() { return head_; }
  // The stream is not over: bytes may be sent and received.
  bool open() const { return stream_ != nullptr && !over_; }
  bool waiting() const { return stream_ == nullptr && !over_; }

  void arm_per_try_timer(int64_t timeout_ms) { per_try_timer_.arm(timeout_ms); }
  void disarm_per_try_timer() { per_try_timer_.disarm(); }
  // Ends the try: resets its stream or leaves the queue. No event follows but the forwarder's on_closed().
  void abandon(codec::ResetReason reason);
  // Ends the try whose stream is over by itself: nothing is reset.
  void let_go();
  // The last byte of the request was sent and of the answer received: what the breakers and the host count ends here.
  void account_end();
  bool request_bytes_written() const;

  // codec::ResponseEvents
  base::Arena& arena() override;
  http::ResponseHead& response_head() override { return head_; }
  void on_informational() override;
  void on_response_head(bool end) override;
  void on_body(base::Buffer& data, bool end) override;
  void on_trailers(http::HeaderMap& trailers) override;
  void on_reset(codec::ResetReason reason, http::Cause cause) override;
  void on_send_blocked(bool blocked) override;
  void on_stream_closed() override;
  // pool::StreamWaiter
  codec::ResponseEvents& response_events() override { return *this; }
  void on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) override;
  void on_stream_failed(http::Cause cause, std::string_view detail) override;
  cluster::Priority priority() const override;
  bool wants_tunnel() const override;
  bool wants_new_connection() const override { return on_new_connection_; }
  http::Version downstream_version() const override;
  std::string_view server_name() const override;

 private:
  void on_per_try_timeout();

  Forwarder& owner_;
  cluster::HostPtr host_;
  codec::ClientStream* stream_ = nullptr;
  pool::UpstreamConnection* connection_ = nullptr;
  http::ResponseHead head_;
  event::Timer per_try_timer_;
  bool over_ = false;  // Nothing more is wanted of it, or nothing more will come.
  bool accounted_ = false;
  const bool on_new_connection_;
  int64_t begun_ns_;
};

}  // namespace weft::forward
