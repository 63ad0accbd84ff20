#pragma once

// The discovery services on gRPC, the aggregated one and those of one type, in both forms; the reports of what proxies
// run; and the metrics that they stream. Thin: all that is decided is decided by the hub. One thread, the hub's, which
// also polls the queue by which calls come, messages are read and written: with thousands of streams, handing each
// small message from one thread to another is what a small change would cost.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "control-plane/xds/gate.h"
#include "control-plane/xds/hub.h"

namespace weft::control::telemetry {
class Traffic;
}  // namespace weft::control::telemetry

namespace weft::control::xds {

class GrpcService {
 public:
  // Runs a task on the hub's thread, in the order of the calls.
  using Post = std::function<void(std::function<void()> task)>;

  // Without a gate all may come in.
  GrpcService(Hub& hub, Post post, Gate* gate) : hub_(hub), post_(std::move(post)), gate_(gate) {}

  // For the server's builder.
  grpc::AsyncGenericService& generic() { return generic_; }
  // Once the server runs: takes calls by this queue of its own, the tags of which are Completions, until the server is
  // shut down. The queue is to be polled until it is empty; then nothing is left of any call.
  void start(grpc::ServerCompletionQueue& queue);
  // There is no call, and none is awaited. The hub's thread.
  bool is_idle() const { return calls_ == 0; }

  // Where metrics go, which outlives it; before start(). Without it the service of metrics is not there.
  void set_traffic(telemetry::Traffic* traffic) { traffic_ = traffic; }
  // Ends the streams whose credential has ended by now (since the epoch), and says when the next one does. The hub's
  // thread.
  std::optional<int64_t> end_streams_by(int64_t now_ms);

  // Ends all streams whose credential is of this origin. Any thread.
  void end_streams_of(const std::string& origin, const absl::Status& status);

 private:
  class Admitted;
  class Call;
  class Conversation;
  class ReportStream;
  class MetricsStream;

  Hub& hub_;
  const Post post_;
  Gate* const gate_;
  telemetry::Traffic* traffic_ = nullptr;
  grpc::AsyncGenericService generic_;
  grpc::ServerCompletionQueue* queue_ = nullptr;
  size_t calls_ = 0;
  // Of those that are open; and when they end.
  absl::flat_hash_map<std::string, absl::flat_hash_set<Admitted*>> of_origin_;
  std::set<std::pair<int64_t, Admitted*>> ends_;
};

}  // namespace weft::control::xds
