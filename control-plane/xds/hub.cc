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

}  // namespace

Hub::SessionId Hub::open(Form form, std::optional<Type> only, std::string peer, Sink& sink) {
  Session session{
      .form = form, .only = only, .peer = std::move(peer), .sink = &sink, .connected_wall_ms = clock_.wall_ms()};
  sessions_.emplace(++last_id_, std::move(session));
  return last_id_;
}

void Hub::close(SessionId id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  session->second.stream.reset();
  if (session->second.view != nullptr) views_.release(*session->second.view);
  sessions_.erase(session);
}

void Hub::on_request(SessionId id, DiscoveryRequest request) { handle(id, std::move(request)); }
void Hub::on_request(SessionId id, DeltaDiscoveryRequest request) { handle(id, std::move(request)); }

template <typename Request>
void Hub::handle(SessionId id, Request request) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  if (session.stream == nullptr) {
    const absl::StatusOr<const View*> view = views_.acquire(request.node());
    if (!view.ok()) {
      base::log_warning(absl::StrCat(session.peer, ": ", std::string(view.status().message())));
      session.sink->end(view.status());
      return;
    }
    session.node_id = request.node().id();
    session.node_cluster = request.node().cluster();
    session.view = *view;
    session.stream = std::make_unique<Stream>(session.form, *session.view, clock_);
  }
  if (session.only.has_value()) {
    const std::string url(snapshot::type_url(*session.only));
    if (request.type_url().empty()) request.set_type_url(url);
    if (request.type_url() != url) return;
  }
  if (request.has_error_detail()) {
    base::log_warning(absl::StrCat("node \"", session.node_id, "\" refuses ", request.type_url(), ": ",
                                   request.error_detail().message()));
  }
  const std::optional<Type> type = snapshot::type_of_url(request.type_url());
  const Counts before = type.has_value() ? session.stream->counts(*type) : Counts();
  session.stream->on_request(request);
  if (type.has_value()) {
    const Counts& now = session.stream->counts(*type);
    Counts& total = totals_[static_cast<size_t>(*type)];
    total.acknowledged += now.acknowledged - before.acknowledged;
    total.refused += now.refused - before.refused;
    views_.heard(*session.view, *type, session.stream->subscription(*type));
  }
  flush(session);
}

void Hub::push() {
  for (auto& [id, session] : sessions_) {
    if (session.stream != nullptr && session.pushed_generation != session.view->generation()) flush(session);
  }
}

void Hub::flush(Session& session) {
  session.pushed_generation = session.view->generation();
  for (std::optional<Response> response = session.stream->next(); response.has_value();
       response = session.stream->next()) {
    ++totals_[static_cast<size_t>(response->type)].sent;
    session.sink->send(*response);
  }
}

std::vector<NodeStatus> Hub::status() const {
  std::vector<NodeStatus> nodes;
  for (const auto& [id, session] : sessions_) {
    if (session.stream == nullptr) continue;
    NodeStatus node{.id = session.node_id,
                    .cluster = session.node_cluster,
                    .peer = session.peer,
                    .form = session.form,
                    .connected_wall_ms = session.connected_wall_ms,
                    .is_settled = session.stream->is_settled(),
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
