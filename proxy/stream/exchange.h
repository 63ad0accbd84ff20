#pragma once

#include <optional>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/base/buffer.h"
#include "proxy/codec/codec.h"
#include "proxy/event/timer.h"
#include "proxy/filter/filter.h"
#include "proxy/forward/forwarder.h"
#include "proxy/forward/shadow.h"
#include "proxy/observe/request_record.h"
#include "proxy/stream/connection.h"
#include "proxy/stream/exchange_state.h"

// One request and its answer, from the first byte to the access log: prepares the request, finds its route, runs the
// filters, forwards it or answers it, and passes the answer on. Recycled by its Worker; one thread.

namespace weft::stream {

class Exchange final : public codec::RequestEvents,
                       public forward::ForwardEvents,
                       public filter::FilterStream,
                       public event::TurnEndTask {
 public:
  explicit Exchange(Worker& worker);
  ~Exchange();

  void begin(Connection& connection, codec::ServerStream& handle);

  // codec::RequestEvents
  base::Arena& arena() override { return arena_; }
  http::RequestHead& request_head() override { return state_->request; }
  void on_request_head(bool end) override;
  void on_body(base::Buffer& data, bool end) override;
  void on_trailers(http::HeaderMap& trailers) override;
  void on_reset(codec::ResetReason reason, http::Cause cause) override;
  void on_send_blocked(bool blocked) override;
  void on_stream_closed() override;

  // forward::ForwardEvents
  void on_forward_informational(http::ResponseHead& head) override;
  void on_forward_head(http::ResponseHead& head, bool end) override;
  void on_forward_body(base::Buffer& data, bool end) override;
  void on_forward_trailers(http::HeaderMap& trailers) override;
  void on_forward_failed(http::Cause cause, std::string_view detail) override;
  void on_forward_blocked(bool blocked) override;
  void on_forward_idle() override;

  // filter::FilterStream
  const route::Route* route() override { return route_; }
  const observe::RequestRecord& record() override { return record_; }
  base::Random& random() override { return worker_.context().random; }
  const transport::ConnectionInfo& connection() override { return connection_->info(); }
  http::Metadata& metadata() override { return metadata_; }
  uint32_t worker() override { return worker_.context().worker; }
  pool::WorkerContext& context() override { return worker_.context(); }
  const base::Buffer& held_body() override { return held_body_; }
  bool request_ended() override { return request_ended_; }
  void want_body(uint64_t bytes) override;
  std::string peer_certificate_pem() override { return connection_->peer_certificate_pem(); }
  void refresh_route() override;
  observe::HttpStats& stats() override { return connection_->stats(); }
  void resume() override;
  void reply(const http::ResponseHead& head, std::string_view body, http::Cause cause,
             std::string_view detail) override;

  // event::TurnEndTask: given back to the worker.
  void on_turn_end() override;

 private:
  // What is made anew for every exchange, in its arena.
  struct PerRequest {
    PerRequest(Worker& worker, Exchange& exchange);
    http::RequestHead request;
    http::ResponseHead response;  // Of the proxy's own answers.
    forward::Forwarder forwarder;
  };

  void step(Event event);
  // Takes from the request what its caller's proxy says of itself, and believes it if it may.
  void take_peer_names();
  // Says of ours what the certificate does not, to those in the mesh.
  void say_peer_names(pool::WorkerCluster& cluster);
  void tell_to_continue();
  void run_filters();
  // To the filter that pauses.
  void tell_held_body();
  void route_request();
  // nullptr: there is no such cluster; `name` is what was looked for.
  pool::WorkerCluster* choose_cluster(const route::ClusterAction& action, std::string_view* name);
  void forward_request(const route::ClusterAction& action);
  // Begins the copies of the request that the route asks for.
  void mirror_request(const route::ClusterAction& action, const forward::ForwardPlan& plan, bool end);
  void apply_request_mutations(const route::WeightedCluster& destination);
  bool upgrade_allowed(const route::ClusterAction& action) const;
  void finish_request_headers();
  void pass_request_body(base::Buffer& data, bool end);
  void pass_request_trailers();
  void prepare_answer(http::ResponseHead& head);
  void apply_response_mutations(http::ResponseHead& head);
  void send_head(http::ResponseHead& head, bool end);
  void note_sent_end();
  // The answer made the rest of the request the bytes of a tunnel.
  bool in_tunnel() const;
  // An answer of the proxy's own, in words; or, if an answer has begun, a reset.
  void answer_with(http::Cause cause, std::string_view detail, uint16_t status = 0);
  void make_grpc_answer(http::ResponseHead& head, int grpc_status, std::string_view text);
  void abort(http::Cause cause);
  void touch();
  void pause(bool paused);
  void on_idle_timeout();
  void on_request_timeout();
  void on_duration_over();
  void finish();

  Worker& worker_;
  base::Arena arena_;
  Connection* connection_ = nullptr;
  codec::ServerStream* handle_ = nullptr;
  PerRequest* state_ = nullptr;
  observe::RequestRecord record_;
  http::Metadata metadata_;
  std::shared_ptr<const route::RouteTable> routes_;
  const route::Route* route_ = nullptr;
  const route::WeightedCluster* destination_ = nullptr;
  filter::Filter** filters_ = nullptr;
  size_t filter_count_ = 0;
  size_t next_filter_ = 0;
  State phase_ = State::kReadingHead;
  bool request_ended_ = false;
  bool filter_paused_ = false;
  bool upgrade_counted_ = false;
  bool recycled_ = true;
  base::Buffer held_body_;  // Of a request whose filters have not let it pass yet.
  uint64_t most_held_bytes_ = 0;
  bool held_end_ = false;
  http::HeaderMap* request_trailers_ = nullptr;
  const http::ResponseHead* sent_head_ = nullptr;
  base::IntrusiveList<forward::Shadow, forward::OfExchange> shadows_;  // That want more of the request.
  std::vector<std::string_view> new_cookies_;  // That the answer gives the client; in the arena.
  event::Timer idle_timer_;
  event::Timer request_timer_;
  event::Timer duration_timer_;
};

}  // namespace weft::stream
