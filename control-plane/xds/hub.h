#pragma once

// All discovery streams of a control plane, and the nodes at their other ends. No I/O: a transport opens sessions,
// hands in requests and takes responses. One thread.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/xds/stream.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace weft::control::xds {

// Which view a node gets.
class Views {
 public:
  virtual ~Views() = default;
  // The view lives, at its place, until as many release() calls. An error says what the node says wrong of itself.
  virtual absl::StatusOr<const View*> acquire(const envoy::config::core::v3::Node& node) = 0;
  virtual void release(const View& view) = 0;
  // After each request of a node for a type: what it wants and holds of it now.
  virtual void heard(const View&, Type, const Subscription&) {}
};

// The transport's end of a session.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void send(const Response& response) = 0;
  // Ends the stream; its session is closed later, by close().
  virtual void end(const absl::Status& status) = 0;
};

// What a node was sent, holds and refused, of one type.
struct TypeStatus {
  Type type = Type::kCluster;
  Counts counts;
  size_t held = 0;
  size_t due = 0;
  bool in_flight = false;
  // By name.
  std::map<std::string, Refusal> refusals;
};

struct NodeStatus {
  std::string id;
  std::string cluster;
  std::string peer;
  Form form = Form::kStateOfTheWorld;
  // Since the epoch.
  int64_t connected_wall_ms = 0;
  bool is_settled = false;
  // Those that the node asked for.
  std::vector<TypeStatus> types;
};

class Hub {
 public:
  using SessionId = uint64_t;

  // Both outlive the hub.
  Hub(Views& views, base::Clock& clock) : views_(views), clock_(clock) {}

  // `sink` lives until close(). `only`: a stream of one type, for which requests need not name it.
  SessionId open(Form form, std::optional<Type> only, std::string peer, Sink& sink);
  void close(SessionId id);

  // The first request of a session says which node it is.
  void on_request(SessionId id, envoy::service::discovery::v3::DiscoveryRequest request);
  void on_request(SessionId id, envoy::service::discovery::v3::DeltaDiscoveryRequest request);

  // To be called when views have changed: sends what may be sent.
  void push();

  size_t session_count() const { return sessions_.size(); }
  // Of all streams since the start.
  const Counts& totals(Type type) const { return totals_[static_cast<size_t>(type)]; }
  // By node id.
  std::vector<NodeStatus> status() const;

 private:
  struct Session {
    Form form;
    std::optional<Type> only;
    std::string peer;
    Sink* sink;
    int64_t connected_wall_ms;
    std::string node_id;
    std::string node_cluster;
    // Both null until the first request.
    const View* view = nullptr;
    std::unique_ptr<Stream> stream;
    View::Generation pushed_generation;
  };

  template <typename Request>
  void handle(SessionId id, Request request);
  void flush(Session& session);

  Views& views_;
  base::Clock& clock_;
  // In the order in which they came, which is that in which they are served.
  std::map<SessionId, Session> sessions_;
  std::array<Counts, snapshot::kTypeCount> totals_;
  SessionId last_id_ = 0;
};

}  // namespace weft::control::xds
