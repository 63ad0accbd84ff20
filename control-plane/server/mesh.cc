#include "control-plane/server/mesh.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/base/log.h"
#include "control-plane/compile/inbound.h"

namespace weft::control::server {

namespace {

bool is_due(const xds::Debounce& debounce, int64_t now_ms) {
  return debounce.due_ms().has_value() && *debounce.due_ms() <= now_ms;
}

void tell_misfit(const absl::Status& status) {
  base::log_error(absl::StrCat("the model compiles to what does not fit together: ", std::string(status.message())));
}

}  // namespace

Mesh::Mesh(registry::ModelPointer model, Limits limits)
    : applied_(model), newest_(std::move(model)), debounce_(limits.all), endpoint_debounce_(limits.endpoints) {}

void Mesh::set(registry::ModelPointer model, const registry::ChangeSet& changed, int64_t now_ms) {
  // What workloads change is of no revision of its own.
  const bool is_commit = model->revision != newest_->revision;
  newest_ = std::move(model);
  Commit commit{.revision = newest_->revision};
  if (!changed.services.empty() || !changed.routes.empty() || !changed.policies.empty()) {
    pending_.services.insert(changed.services.begin(), changed.services.end());
    pending_.routes.insert(changed.routes.begin(), changed.routes.end());
    pending_.policies.insert(changed.policies.begin(), changed.policies.end());
    debounce_.note(now_ms);
    commit.has_rest = true;
    // Endpoints that wait go along with their service.
    const bool takes_along = std::any_of(changed.services.begin(), changed.services.end(),
                                         [this](const auto& name) { return pending_endpoints_.contains(name); });
    for (Commit& each : commits_) each.has_rest = each.has_rest || (takes_along && each.has_endpoints);
  }
  for (const registry::ServiceName& name : changed.endpoints) {
    // A service that changes takes its endpoints along.
    if (pending_.services.contains(name)) {
      commit.has_rest = true;
      continue;
    }
    pending_endpoints_.insert(name);
    endpoint_debounce_.note(now_ms);
    commit.has_endpoints = true;
  }
  if (is_commit) commits_.push_back(commit);
}

xds::Brought Mesh::take_commits(bool all) {
  xds::Brought brought;
  for (const Commit& commit : commits_) {
    if (all || commit.has_endpoints) brought.touched.push_back(commit.revision);
    if (all || !commit.has_rest) brought.finished.push_back(commit.revision);
  }
  std::erase_if(commits_, [all](const Commit& commit) { return all || !commit.has_rest; });
  return brought;
}

std::optional<int64_t> Mesh::due_ms() const {
  const std::optional<int64_t> all = debounce_.due_ms();
  const std::optional<int64_t> endpoints = endpoint_debounce_.due_ms();
  if (!all.has_value()) return endpoints;
  if (!endpoints.has_value()) return all;
  return std::min(*all, *endpoints);
}

std::optional<xds::Brought> Mesh::advance(int64_t now_ms) {
  registry::ChangeSet changed;
  const bool all = is_due(debounce_, now_ms);
  if (all) {
    changed = std::exchange(pending_, {});
    debounce_.reset();
  }
  if (all || is_due(endpoint_debounce_, now_ms)) {
    for (const registry::ServiceName& name : std::exchange(pending_endpoints_, {})) {
      if (!pending_.services.contains(name)) changed.endpoints.insert(name);
    }
    endpoint_debounce_.reset();
  }
  if (changed.empty()) return std::nullopt;
  registry::ModelPointer after = newest_;
  if (!all) {
    auto with_endpoints = std::make_shared<registry::Model>(*applied_);
    for (const registry::ServiceName& name : changed.endpoints) {
      if (auto endpoints = newest_->endpoints.find(name)) with_endpoints->endpoints.set(name, std::move(endpoints));
    }
    after = std::move(with_endpoints);
  }
  apply(*after, changed);
  applied_ = std::move(after);
  return take_commits(all);
}

void Mesh::apply(const registry::Model& after, const registry::ChangeSet& changed) {
  for (auto& [audience, entry] : audiences_) {
    const absl::Status applied =
        entry.view.apply(compile::compile_changes(*applied_, after, changed, audience, interner_));
    if (applied.ok()) continue;
    // The change said less than it was; all of it is compiled, and what is then still wrong stays as it was.
    base::log_error(
        absl::StrCat("a change of the model does not fit what was compiled before: ", std::string(applied.message())));
    const absl::Status whole =
        entry.view.apply(snapshot::difference(entry.view, compile::compile_all(after, audience, interner_)));
    if (!whole.ok()) tell_misfit(whole);
  }
  for (const registry::ServiceName& name : changed.services) {
    const auto nodes = nodes_of_service_.find(name);
    if (nodes == nodes_of_service_.end()) continue;
    for (Node* node : nodes->second) apply_inbound(after, *node);
  }
}

void Mesh::apply_inbound(const registry::Model& model, Node& node) {
  const registry::AppProtocol protocol = compile::inbound_protocol(model, node.service, node.inbound.app_port);
  compile::Compiled compiled;
  for (snapshot::ResourcePointer& resource : compile::compile_inbound(node.inbound, protocol)) {
    std::string name = resource->name;
    compiled[static_cast<size_t>(resource->type)].emplace(std::move(name), interner_.intern(std::move(resource)));
  }
  const absl::Status applied = node.view.apply(snapshot::difference(node.view, compiled));
  if (!applied.ok()) tell_misfit(applied);
}

Mesh::Audiences::iterator Mesh::acquire_audience(const compile::Audience& audience) {
  const auto [entry, is_new] = audiences_.try_emplace(audience);
  if (is_new) {
    audience_of_view_.emplace(&entry->second.view, entry);
    const absl::Status applied = entry->second.view.apply(
        snapshot::difference(entry->second.view, compile::compile_all(*applied_, audience, interner_)));
    if (!applied.ok()) tell_misfit(applied);
  }
  ++entry->second.users;
  return entry;
}

void Mesh::release_audience(Audiences::iterator audience) {
  if (--audience->second.users != 0) return;
  audience_of_view_.erase(&audience->second.view);
  audiences_.erase(audience);
}

absl::StatusOr<const snapshot::View*> Mesh::acquire(const envoy::config::core::v3::Node& from) {
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(from);
  if (!claims.ok()) return claims.status();
  const auto audience = acquire_audience(claims->audience);
  if (!claims->inbound.has_value()) return &audience->second.view;
  auto node = std::make_unique<Node>(Node{.audience = audience,
                                          .service = {claims->audience.namespace_name, claims->service},
                                          .inbound = *claims->inbound,
                                          .view = snapshot::View(&audience->second.view)});
  apply_inbound(*applied_, *node);
  nodes_of_service_[node->service].insert(node.get());
  const snapshot::View* view = &node->view;
  nodes_.emplace(view, std::move(node));
  return view;
}

void Mesh::release(const snapshot::View& view) {
  if (const auto shared = audience_of_view_.find(&view); shared != audience_of_view_.end()) {
    return release_audience(shared->second);
  }
  const auto found = nodes_.find(&view);
  if (found == nodes_.end()) return;
  const std::unique_ptr<Node> node = std::move(found->second);
  nodes_.erase(found);
  const auto of_service = nodes_of_service_.find(node->service);
  of_service->second.erase(node.get());
  if (of_service->second.empty()) nodes_of_service_.erase(of_service);
  release_audience(node->audience);
}

}  // namespace weft::control::server
