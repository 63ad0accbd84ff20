#pragma once

// A discovery stream as a pure state: requests in, responses out, no I/O. Aggregated or of one type; the form (whole
// states or changes) is the stream's. Belongs to one thread, that of the view that it reads.
//
// Responses come in the order in which a client must learn of things: clusters, endpoints, secrets, listeners, routes,
// and last what is gone, in the opposite order. A client that takes all clusters gets listeners and routes only when it
// has answered to the clusters and has been sent the endpoints it then asked for. A client that comes back with what it
// holds keeps its clusters until it has asked for its routes and runs the newest: of what it held one may lead to a
// cluster that is gone.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control-plane/base/clock.h"
#include "control-plane/xds/subscription.h"

namespace envoy::service::discovery::v3 {
class DeltaDiscoveryRequest;
class DiscoveryRequest;
}  // namespace envoy::service::discovery::v3

namespace weft::control::xds {

struct Response {
  Type type = Type::kCluster;
  std::string nonce;
  // Of all that `resources` says.
  std::string version;
  std::vector<ResourcePointer> resources;
  // Only in the delta form.
  std::vector<std::string> removed;
  // The first of its stream, which says who we are.
  bool is_first = false;
  // Of a whole state: each resource stands in a message that names its own version.
  bool is_wrapped = false;
};

// What happened to responses of one type, since the stream began.
struct Counts {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t refused = 0;
};

class Stream {
 public:
  // Both outlive the stream. `is_aggregated`: it may ask for all types, not for one alone.
  Stream(Form form, const View& view, base::Clock& clock, bool is_aggregated = true);

  // A type that we do not serve is left unanswered, as the protocol wants it.
  void on_request(const envoy::service::discovery::v3::DiscoveryRequest& request);
  void on_request(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);

  // The next response that may be sent now, if there is one; it then counts as sent. To be called until there is none,
  // after each request and each change of the view.
  std::optional<Response> next();

  const Subscription& subscription(Type type) const { return subscriptions_[static_cast<size_t>(type)]; }
  const Counts& counts(Type type) const { return counts_[static_cast<size_t>(type)]; }
  // Nothing is due and nothing in flight, of all that the client asked for.
  bool is_settled() const;

  // All that the view has changed until now counts as of the push `epoch`, a number that grows. True if the client is
  // to be sent something of it.
  bool catch_up(uint64_t epoch);
  uint64_t epoch() const { return epoch_; }
  // The newest push of which the client has answered to everything that it was to be sent; of one type, or of all.
  uint64_t acknowledged(Type type) const;
  uint64_t acknowledged() const;
  // Of the response that was refused last: it brought what the pushes after `after` and up to `until` changed.
  struct Pushes {
    uint64_t after = 0;
    uint64_t until = 0;
  };
  Pushes last_refused(Type type) const { return answered_[static_cast<size_t>(type)].refused; }

  // Told of what the client holds anew, by its acknowledgement.
  using OnHeld = std::function<void(Type type, const std::string& name, uint64_t before, uint64_t version)>;
  void set_on_held(OnHeld on_held) { on_held_ = std::move(on_held); }

 private:
  Subscription& at(Type type) { return subscriptions_[static_cast<size_t>(type)]; }
  void answer(Type type, std::string_view nonce, const std::string* error);
  bool catch_up();
  bool must_wait(Type type) const;
  bool must_keep_clusters() const;
  Response respond(Type type, std::vector<Change> changes);

  const Form form_;
  const View& view_;
  base::Clock& clock_;
  const bool is_aggregated_;
  const int64_t began_ms_;
  // It held clusters when it came, and what it runs of listeners and routes is not known yet.
  bool came_back_ = false;
  std::array<Subscription, snapshot::kTypeCount> subscriptions_;
  std::array<Counts, snapshot::kTypeCount> counts_;
  // Of the last list of a state-of-the-world request, by type; 0: none came.
  std::array<uint64_t, snapshot::kTypeCount> lists_{};
  View::Generation seen_generation_;
  uint64_t last_nonce_ = 0;
  uint64_t epoch_ = 0;
  // Of each type, of which push everything was answered, and is once what is in flight has been.
  struct Answered {
    uint64_t through = 0;
    uint64_t with_flight = 0;
    // When what is in flight was sent.
    uint64_t sent = 0;
    Pushes refused;
  };
  std::array<Answered, snapshot::kTypeCount> answered_;
  OnHeld on_held_;
};

}  // namespace weft::control::xds
