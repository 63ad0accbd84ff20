#include "control-plane/xds/hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/base/log.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::xds {

namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

// What a node says in its client features when it will report what it runs (api/weft/v1/report.proto).
constexpr std::string_view kReports = "weft.reports";
constexpr size_t kMaxReasonBytes = 2048;
// Nodes that are remembered though they are gone.
constexpr size_t kMaxAbsent = 10'000;

// Whether the client says what it holds from before this stream.
bool is_back(const DiscoveryRequest& request) {
  return request.response_nonce().empty() && !request.version_info().empty();
}
bool is_back(const DeltaDiscoveryRequest& request) { return !request.initial_resource_versions().empty(); }

// A node's id is its own word. Where it belongs is what it was let in for, and another's of the same id is not its
// affair.
bool is_same_place(const envoy::config::core::v3::Node& a, const envoy::config::core::v3::Node& b) {
  for (const char* name : {"namespace", "service"}) {
    const auto text = [&](const envoy::config::core::v3::Node& node) {
      const auto found = node.metadata().fields().find(name);
      return found == node.metadata().fields().end() ? std::string() : found->second.string_value();
    };
    if (text(a) != text(b)) return false;
  }
  return true;
}

}  // namespace

Hub::SessionId Hub::open(Form form, std::optional<Type> only, std::string peer, Sink& sink) {
  Session session;
  session.form = form;
  session.only = only;
  session.peer = std::move(peer);
  session.sink = &sink;
  session.connected_wall_ms = clock_.wall_ms();
  const auto added = sessions_.emplace(++last_id_, std::move(session)).first;
  session_of_id_.emplace(last_id_, &added->second);
  return last_id_;
}

void Hub::close(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  if (session.stream != nullptr) {
    std::vector<Epoch> owed = session.progress->close();
    const std::string& node = session.node.id();
    if (!owed.empty() && absent_.size() < kMaxAbsent) absent_[node] = std::move(owed);
    std::erase(by_node_[node], id);
    if (by_node_[node].empty()) by_node_.erase(node);
    session.stream.reset();
    const auto of_view = sessions_of_view_.find(session.view);
    std::erase(of_view->second, id);
    if (of_view->second.empty()) sessions_of_view_.erase(of_view);
    views_.release(*session.view);
  }
  session_of_id_.erase(id);
  sessions_.erase(found);
}

void Hub::on_request(SessionId id, DiscoveryRequest request) { handle(id, std::move(request)); }
void Hub::on_request(SessionId id, DeltaDiscoveryRequest request) { handle(id, std::move(request)); }

absl::Status Hub::begin(SessionId id, Session& session, const envoy::config::core::v3::Node& node) {
  const absl::StatusOr<const View*> view = views_.acquire(node);
  if (!view.ok()) return view.status();
  session.node = node;
  // Long in Envoy's, and of no use here.
  session.node.clear_extensions();
  session.view = *view;
  session.stream = std::make_unique<Stream>(session.form, *session.view, clock_, !session.only.has_value());
  session.stream->catch_up(rollouts_.epoch());
  session.progress = std::make_unique<Progress>(id, node.id(), rollouts_);
  by_node_[node.id()].push_back(id);
  sessions_of_view_[*view].push_back(id);
  const auto& features = node.client_features();
  // The report is of an aggregated stream.
  if (session.only.has_value() || std::find(features.begin(), features.end(), kReports) == features.end()) {
    return absl::OkStatus();
  }
  session.is_wrapped = session.form == Form::kStateOfTheWorld;
  session.progress->await_report();
  session.stream->set_on_held([&session = *session.progress, &stream = *session.stream](
                                  Type type, const std::string& name, uint64_t before, uint64_t version) {
    session.on_held(type, name, before, version, stream);
  });
  return absl::OkStatus();
}

// What it owed before its stream ended concerns it still.
void Hub::rejoin(Session& session) {
  const auto absent = absent_.find(session.node.id());
  if (absent == absent_.end()) return;
  for (const Epoch epoch : absent->second) session.progress->concern(epoch, true);
  absent_.erase(absent);
}

template <typename Request>
void Hub::handle(SessionId id, Request request) {
  const auto found = session_of_id_.find(id);
  if (found == session_of_id_.end()) return;
  Session& session = *found->second;
  if (session.stream == nullptr) {
    if (const absl::Status begun = begin(id, session, request.node()); !begun.ok()) {
      base::log_warning(absl::StrCat(session.peer, ": ", std::string(begun.message())));
      session.sink->end(begun);
      return;
    }
    rejoin(session);
  }
  if (session.only.has_value()) {
    const std::string url(snapshot::type_url(*session.only));
    if (request.type_url().empty()) request.set_type_url(url);
    if (request.type_url() != url) return;
  }
  if (request.has_error_detail()) {
    base::log_warning(absl::StrCat("node \"", session.node.id(), "\" refuses ", request.type_url(), ": ",
                                   request.error_detail().message()));
  }
  const std::optional<Type> type = snapshot::type_of_url(request.type_url());
  const Counts before = type.has_value() ? session.stream->counts(*type) : Counts();
  if (is_back(request)) session.progress->came_back();
  session.stream->on_request(request);
  if (type.has_value()) {
    const Counts& now = session.stream->counts(*type);
    Counts& total = totals_[static_cast<size_t>(*type)];
    total.acknowledged += now.acknowledged - before.acknowledged;
    total.refused += now.refused - before.refused;
    views_.heard(*session.view, *type, session.stream->subscription(*type));
    views_.running(*session.view, *type, {*session.progress, *session.stream});
    if (now.refused != before.refused) {
      const std::string type_name(snapshot::type_name(*type));
      session.progress->on_refused(*type, absl::StrCat(type_name, ": ", request.error_detail().message()),
                                   *session.stream);
    }
  }
  flush(session);
  session.progress->advance(*session.stream, clock_.monotonic_ms());
}

void Hub::push(const Brought& brought, const std::vector<const View*>* changed) {
  const Epoch epoch = rollouts_.begin_push(brought);
  const int64_t now_ms = clock_.monotonic_ms();
  const auto push_to = [&](Session& session) {
    if (session.stream == nullptr || session.pushed_generation == session.view->generation()) return;
    const bool is_sent = session.stream->catch_up(epoch);
    // Who still loads may ask for it later.
    if (is_sent || !session.progress->is_started()) session.progress->concern(epoch, !is_sent);
    flush(session);
    session.progress->advance(*session.stream, now_ms);
  };
  if (changed == nullptr) {
    for (auto& [id, session] : sessions_) push_to(session);
    return;
  }
  std::vector<SessionId> ids;
  for (const View* view : *changed) {
    const auto of_view = sessions_of_view_.find(view);
    if (of_view != sessions_of_view_.end()) ids.insert(ids.end(), of_view->second.begin(), of_view->second.end());
  }
  // Views stand anywhere in memory; nodes are served in the order in which they came.
  std::sort(ids.begin(), ids.end());
  for (const SessionId id : ids) push_to(*session_of_id_.at(id));
}

void Hub::flush(Session& session) {
  session.pushed_generation = session.view->generation();
  for (std::optional<Response> response = session.stream->next(); response.has_value();
       response = session.stream->next()) {
    response->is_wrapped = session.is_wrapped;
    ++totals_[static_cast<size_t>(response->type)].sent;
    session.sink->send(*response);
  }
}

Hub::ReportId Hub::open_report(ReportSink* sink) {
  reports_[++last_report_].sink = sink;
  return last_report_;
}

void Hub::tell_drained(const View& view) {
  const auto sessions = sessions_of_view_.find(&view);
  if (sessions == sessions_of_view_.end()) return;
  for (const SessionId id : sessions->second) {
    const auto report = reports_.find(sessions_.at(id).report);
    if (report != reports_.end() && report->second.sink != nullptr) report->second.sink->drained();
  }
}

void Hub::close_report(ReportId id) {
  const auto report = reports_.find(id);
  if (report == reports_.end()) return;
  const auto sessions = by_node_.find(report->second.node_id);
  if (sessions != by_node_.end()) {
    for (const SessionId each : sessions->second) {
      Session& session = sessions_.at(each);
      if (session.report != id) continue;
      session.report = 0;
      session.progress->await_report();
    }
  }
  reports_.erase(report);
}

absl::StatusOr<uint64_t> Hub::on_report(ReportId id, const v1::ReportRequest& request) {
  Report& report = reports_.at(id);
  if (request.sequence() != report.sequence + 1) {
    return absl::InvalidArgumentError(absl::StrCat("report ", request.sequence(), ", expected ", report.sequence + 1));
  }
  if (report.sequence == 0) {
    const auto sessions = by_node_.find(request.node().id());
    if (request.node().id().empty() || sessions == by_node_.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("node \"", request.node().id(), "\" has no discovery stream here"));
    }
    report.node_id = request.node().id();
    std::set<Type> types;
    for (const std::string& url : request.type_urls()) {
      if (const std::optional<Type> type = snapshot::type_of_url(url)) types.insert(*type);
    }
    for (const SessionId each : sessions->second) {
      Session& session = sessions_.at(each);
      // Who did not say that it reports may be another of the same name.
      if (session.progress->source() == Progress::Source::kAcknowledgement) continue;
      if (!is_same_place(session.node, request.node())) continue;
      session.report = id;
      session.progress->begin_report(types);
    }
  }
  report.sequence = request.sequence();
  if (request.has_process()) report.process = request.process();
  if (request.has_workload()) report.workload = request.workload();
  const auto sessions = by_node_.find(report.node_id);
  if (sessions == by_node_.end()) return report.sequence;
  for (const SessionId each : sessions->second) {
    Session& session = sessions_.at(each);
    if (session.report == id) take_report(request, session);
  }
  return report.sequence;
}

void Hub::take_report(const v1::ReportRequest& request, Session& session) {
  if (request.has_process() || request.has_workload()) views_.reported(*session.view, request);
  for (const v1::ResourceReport& each : request.resources()) {
    const std::optional<Type> type = snapshot::type_of_url(each.type_url());
    // What we never gave it is none of our business, and must not grow.
    if (!type.has_value()) continue;
    const bool is_ours = session.view->find(*type, each.name()) != nullptr ||
                         session.stream->subscription(*type).holds(each.name()) ||
                         session.progress->applied().find(*type, each.name()) != nullptr;
    if (!is_ours) continue;
    Reported reported{.version = snapshot::parse_version(each.version()),
                      .warming_version = snapshot::parse_version(each.warming_version()),
                      .refused = std::nullopt};
    if (each.has_refused()) {
      reported.refused = {.version = snapshot::parse_version(each.refused().version()),
                          .reason = each.refused().reason().substr(0, kMaxReasonBytes),
                          .wall_ms = each.refused().time().seconds() * 1000};
    }
    session.progress->on_report(*type, each.name(), std::move(reported), *session.stream);
    views_.running(*session.view, *type, {*session.progress, *session.stream});
  }
  if (request.complete()) {
    session.progress->complete_report(*session.stream);
    // All that was told before counts from here.
    for (const Type type : snapshot::kTypes) {
      views_.running(*session.view, type, {*session.progress, *session.stream});
    }
  }
  session.progress->advance(*session.stream, clock_.monotonic_ms());
}

const Hub::Report* Hub::report_of(const Session& session) const {
  const auto report = reports_.find(session.report);
  return report == reports_.end() ? nullptr : &report->second;
}

std::vector<const Hub::Session*> Hub::sessions_of(const std::string& node_id) const {
  std::vector<const Session*> sessions;
  const auto found = by_node_.find(node_id);
  if (found == by_node_.end()) return sessions;
  for (const SessionId id : found->second) sessions.push_back(&sessions_.at(id));
  return sessions;
}

std::vector<NodeStatus> Hub::status() const {
  std::vector<NodeStatus> nodes;
  for (const auto& [id, session] : sessions_) {
    if (session.stream == nullptr) continue;
    NodeStatus node{.id = session.node.id(),
                    .cluster = session.node.cluster(),
                    .peer = session.peer,
                    .form = session.form,
                    .connected_wall_ms = session.connected_wall_ms,
                    .is_settled = session.stream->is_settled(),
                    .source = session.progress->source(),
                    .applied_revision = session.progress->applied_revision(),
                    .types = {}};
    for (const Type type : snapshot::kTypes) {
      const Subscription& subscription = session.stream->subscription(type);
      if (!subscription.begun()) continue;
      node.types.push_back({.type = type,
                            .counts = session.stream->counts(type),
                            .held = subscription.held_count(),
                            .due = subscription.due_count(),
                            .in_flight = subscription.in_flight(),
                            .refusals = {subscription.refusals().begin(), subscription.refusals().end()}});
    }
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(), [](const NodeStatus& a, const NodeStatus& b) { return a.id < b.id; });
  return nodes;
}

}  // namespace weft::control::xds
