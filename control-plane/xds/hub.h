#pragma once

// All discovery streams of a control plane, and the nodes at their other ends with what they report. No I/O: a
// transport opens sessions, hands in requests and takes responses. One thread.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "control-plane/base/clock.h"
#include "control-plane/xds/progress.h"
#include "control-plane/xds/rollouts.h"
#include "control-plane/xds/stream.h"
#include "envoy/config/core/v3/base.pb.h"
#include "weft/v1/report.pb.h"

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
  // After each request for a type, and each resource of which a report tells: something of it may run that did not.
  virtual void running(const View&, Type, const Running&) {}
  // What a node says of its own process, and of the application beside it.
  virtual void reported(const View&, const v1::ReportRequest&) {}
};

// The transport's end of a session.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void send(const Response& response) = 0;
  // Ends the stream; its session is closed later, by close().
  virtual void end(const absl::Status& status) = 0;
};

// The transport's end of a report stream.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  // Whoever called the node's workload knows that it drains.
  virtual void drained() = 0;
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
  Progress::Source source = Progress::Source::kAcknowledgement;
  // Of the newest commit that it runs; 0 if it has not come so far.
  Revision applied_revision = 0;
  // Those that the node asked for.
  std::vector<TypeStatus> types;
};

class Hub {
 public:
  using SessionId = xds::SessionId;
  using ReportId = uint64_t;

  // One discovery stream and its node.
  struct Session {
    Form form = Form::kStateOfTheWorld;
    std::optional<Type> only;
    std::string peer;
    Sink* sink = nullptr;
    int64_t connected_wall_ms = 0;
    // Of the first request; what follows is null until then.
    envoy::config::core::v3::Node node;
    const View* view = nullptr;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<Progress> progress;
    // That of the node; 0 if there is none.
    ReportId report = 0;
    bool is_wrapped = false;
    View::Generation pushed_generation;
  };
  // What a node says of itself on its report stream.
  struct Report {
    ReportSink* sink = nullptr;
    std::string node_id;
    uint64_t sequence = 0;
    v1::ProcessReport process;
    v1::WorkloadReport workload;
  };

  // Both outlive the hub.
  Hub(Views& views, base::Clock& clock) : views_(views), clock_(clock) {}

  // `sink` lives until close(). `only`: a stream of one type, for which requests need not name it.
  SessionId open(Form form, std::optional<Type> only, std::string peer, Sink& sink);
  void close(SessionId id);

  // The first request of a session says which node it is.
  void on_request(SessionId id, envoy::service::discovery::v3::DiscoveryRequest request);
  void on_request(SessionId id, envoy::service::discovery::v3::DeltaDiscoveryRequest request);

  // A report stream (api/weft/v1/report.proto) of a node with a discovery stream. `sink`, which may be null, lives
  // until close_report().
  ReportId open_report(ReportSink* sink = nullptr);
  void close_report(ReportId id);
  // The sequence number to answer with. An error ends the stream.
  absl::StatusOr<uint64_t> on_report(ReportId id, const v1::ReportRequest& request);

  // Tells the nodes of this view, as far as they report.
  void tell_drained(const View& view);

  // To be called when views have changed by these commits: sends what may be sent. It costs what it touches where
  // `changed` says which; null: any may have.
  void push(const Brought& brought, const std::vector<const View*>* changed = nullptr);
  void push() { push({}); }

  // Those of which the first request has come.
  const std::map<SessionId, Session>& sessions() const { return sessions_; }
  // Null if there is none.
  const Report* report_of(const Session& session) const;
  // By node id.
  std::vector<const Session*> sessions_of(const std::string& node_id) const;
  Rollouts& rollouts() { return rollouts_; }
  const Rollouts& rollouts() const { return rollouts_; }
  size_t session_count() const { return sessions_.size(); }
  size_t report_count() const { return reports_.size(); }
  // Of all streams since the start.
  const Counts& totals(Type type) const { return totals_[static_cast<size_t>(type)]; }
  // By node id.
  std::vector<NodeStatus> status() const;

 private:
  template <typename Request>
  void handle(SessionId id, Request request);
  absl::Status begin(SessionId id, Session& session, const envoy::config::core::v3::Node& node);
  void flush(Session& session);
  void take_report(const v1::ReportRequest& request, Session& session);
  void rejoin(Session& session);

  Views& views_;
  base::Clock& clock_;
  // In the order in which they came, which is that in which they are served.
  std::map<SessionId, Session> sessions_;
  // The same, for whoever looks for one of thousands.
  absl::flat_hash_map<SessionId, Session*> session_of_id_;
  // Those that have a view.
  absl::flat_hash_map<const View*, std::vector<SessionId>> sessions_of_view_;
  std::array<Counts, snapshot::kTypeCount> totals_;
  SessionId last_id_ = 0;
  absl::flat_hash_map<std::string, std::vector<SessionId>> by_node_;
  absl::flat_hash_map<ReportId, Report> reports_;
  ReportId last_report_ = 0;
  Rollouts rollouts_;
  // Pushes that nodes still owed when their streams ended, for when they come back.
  std::map<std::string, std::vector<Epoch>> absent_;
};

}  // namespace weft::control::xds
