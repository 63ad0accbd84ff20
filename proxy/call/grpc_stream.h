#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/call/grpc_frames.h"
#include "proxy/call/host_claim.h"
#include "proxy/cluster/cluster.h"
#include "proxy/pool/worker_context.h"

// A bidirectional gRPC call from the proxy itself, over a cluster's own pool (gRPC over HTTP/2). Owned by itself from
// start() until its HTTP stream is closed; whoever started it holds a pointer, good until on_grpc_end() or cancel().
// One thread.

namespace weft::call {

struct GrpcCall {
  std::string path;       // "/package.Service/Method"
  std::string authority;  // Empty: the cluster's name.
  std::vector<std::pair<std::string, std::string>> metadata;
  uint32_t max_message_bytes = 64 * 1024 * 1024;  // Of a message received.
};

// How a call ended: a status of gRPC's (0 to 16) and a sentence that says where it came from.
struct GrpcEnd {
  int status = 0;
  std::string reason;
};

class GrpcStream final : public event::Deferred,
                         private codec::ResponseEvents,
                         private pool::StreamWaiter,
                         private event::NextTurnTask {
 public:
  class Events {
   public:
    // The request's head went to the server, or is about to: send() may be called, and reaches it.
    virtual void on_grpc_open() = 0;
    // The receiver may send() and cancel().
    virtual void on_grpc_message(std::string_view message) = 0;
    // The last call. Never from within start(), send() or cancel().
    virtual void on_grpc_end(const GrpcEnd& end) = 0;

   protected:
    ~Events() = default;
  };

  // From the next turn on: picks a host, waits for a connection and opens the call. Never nullptr.
  static GrpcStream* start(pool::WorkerContext& context, const cluster::ClusterPtr& cluster, const GrpcCall& call,
                           Events& events);
  // One message. After on_grpc_open().
  void send(std::string_view message) { send_message(message, false); }
  // The only or last message, as a call ends whose request is one message.
  void send_last(std::string_view message) { send_message(message, true); }
  // While held no message comes; the server is stopped by flow control. After on_grpc_open().
  void hold(bool held);
  // The server does not take what was sent; the rest of it waits here.
  bool blocked() const { return blocked_; }
  // Resets the stream; no event follows.
  void cancel();

 private:
  GrpcStream(pool::WorkerContext& context, const cluster::ClusterPtr& cluster, const GrpcCall& call, Events& events);

  // Tells the end once; the object goes when its HTTP stream has.
  void finish(int status, std::string_view reason);
  // As the server's trailers say.
  void finish_with(const http::HeaderMap& trailers);
  void finish_failed(http::Cause cause, std::string_view detail);
  void release();
  void destroy();
  void send_head();
  void send_message(std::string_view message, bool last);
  void update_pause();

  // codec::ResponseEvents
  base::Arena& arena() override { return arena_; }
  http::ResponseHead& response_head() override { return response_; }
  void on_informational() override {}
  void on_response_head(bool end) override;
  void on_body(base::Buffer& data, bool end) override;
  void on_trailers(http::HeaderMap& trailers) override;
  void on_reset(codec::ResetReason reason, http::Cause cause) override;
  void on_send_blocked(bool blocked) override;
  void on_stream_closed() override;
  // event::NextTurnTask
  void on_next_turn() override;
  // pool::StreamWaiter
  codec::ResponseEvents& response_events() override { return *this; }
  void on_stream_ready(codec::ClientStream& stream, pool::UpstreamConnection& connection) override;
  void on_stream_failed(http::Cause cause, std::string_view detail) override;
  cluster::Priority priority() const override { return cluster::Priority::kDefault; }
  http::Version downstream_version() const override { return http::Version::kHttp2; }
  bool wants_tunnel() const override { return false; }
  std::string_view server_name() const override;

  pool::WorkerContext& context_;
  cluster::ClusterPtr cluster_;
  GrpcCall call_;
  Events* events_;  // nullptr: ended, or cancelled.
  HostClaim claim_;
  base::Arena arena_;
  http::ResponseHead response_;
  GrpcFrames frames_;
  codec::ClientStream* stream_ = nullptr;
  pool::UpstreamConnection* connection_ = nullptr;
  bool held_ = false;
  bool blocked_ = false;    // The server does not take what we send.
  bool said_all_ = false;   // Our end of the stream was sent.
  bool heard_all_ = false;  // The server's end came.
  bool over_ = false;       // The HTTP stream has ended by itself.
  bool released_ = false;   // Nobody wants anything of it any more.
};

}  // namespace weft::call
