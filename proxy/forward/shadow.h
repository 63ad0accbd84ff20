#pragma once

#include <memory>

#include "proxy/base/arena.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/forward/forwarder.h"
#include "proxy/route/route_table.h"

// A copy of a request for another cluster (request mirroring): sent beside the request itself, once, its answer thrown
// away. What does not go out as fast as it comes is not held beyond the limit: the copy is given up, never the request
// slowed down. Owned by itself from start() on; ends through Loop::destroy_later, after its request or before. One
// thread.

namespace weft::forward {

// The list in which an exchange keeps those that still want to hear of its request.
struct OfExchange {};

class Shadow final : private ForwardEvents,
                     private event::TurnEndTask,
                     public event::Deferred,
                     public base::ListNode<Shadow>,
                     public base::ListNode<OfExchange> {
 public:
  // `mirror` is part of `routes`, which are kept as long as the copy lasts.
  Shadow(pool::WorkerContext& context, const route::Mirror& mirror, std::shared_ptr<const route::RouteTable> routes,
         const http::RequestHead& request);
  // To `cluster`. What `plan` says of time and limits counts for the copy too.
  void start(pool::WorkerCluster& cluster, const ForwardPlan& plan, bool end);
  // `data` stays with the caller.
  void send_body(const base::Buffer& data, bool end);
  void send_trailers(const http::HeaderMap& trailers);
  // The request was cut off, or the worker ends: so is the copy.
  void cancel();

 private:
  base::Arena& arena() override { return arena_; }
  void on_forward_informational(http::ResponseHead&) override {}
  void on_forward_head(http::ResponseHead&, bool end) override;
  void on_forward_body(base::Buffer& data, bool end) override;
  void on_forward_trailers(http::HeaderMap&) override { done(); }
  void on_forward_failed(http::Cause, std::string_view) override { done(); }
  void on_forward_blocked(bool blocked) override { blocked_ = blocked; }
  void on_forward_idle() override;
  void on_turn_end() override;
  void done();

  pool::WorkerContext& context_;
  std::shared_ptr<const route::RouteTable> routes_;
  base::Arena arena_;
  http::RequestHead request_;
  http::HeaderMap trailers_;
  observe::RequestRecord record_;
  route::ClusterAction action_;  // Nothing of the route's but its priority: no retries.
  Forwarder forwarder_;
  uint64_t held_limit_bytes_ = 0;
  uint64_t blocked_bytes_ = 0;  // Given on while blocked.
  bool blocked_ = false;
  bool done_ = false;
};

}  // namespace weft::forward
