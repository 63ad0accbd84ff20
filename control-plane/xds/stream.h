#pragma once

// A discovery stream as a pure state: requests in, responses out, no I/O. Aggregated or of one type; the form (whole
// states or changes) is the stream's. Belongs to one thread, that of the view that it reads.
//
// Responses come in the order in which a client must learn of things: clusters, endpoints, secrets, listeners, routes,
// and last what is gone, in the opposite order. A client that takes all clusters gets listeners and routes only when it
// has answered to the clusters and has been sent the endpoints it then asked for.

#include <array>
#include <cstdint>
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
};

// What happened to responses of one type, since the stream began.
struct Counts {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t refused = 0;
};

class Stream {
 public:
  // Both outlive the stream.
  Stream(Form form, const View& view, base::Clock& clock);

  // A type that we do not serve is left unanswered, as the protocol wants it.
  void on_request(const envoy::service::discovery::v3::DiscoveryRequest& request);
  void on_request(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);

  // The next response that may be sent now, if there is one; it then counts as sent. To be called until there is none,
  // after each request and each change of the view.
  std::optional<Response> next();

  const Subscription& subscription(Type type) const { return subscriptions_[static_cast<size_t>(type)]; }
  const Counts& counts(Type type) const { return counts_[static_cast<size_t>(type)]; }
  // Nothing is due and nothing in flight.
  bool is_settled() const;

 private:
  Subscription& at(Type type) { return subscriptions_[static_cast<size_t>(type)]; }
  void answer(Type type, std::string_view nonce, const std::string* error);
  void catch_up();
  bool must_wait(Type type) const;
  Response respond(Type type, std::vector<Change> changes);

  const Form form_;
  const View& view_;
  base::Clock& clock_;
  std::array<Subscription, snapshot::kTypeCount> subscriptions_;
  std::array<Counts, snapshot::kTypeCount> counts_;
  View::Generation seen_generation_;
  uint64_t last_nonce_ = 0;
};

}  // namespace weft::control::xds
