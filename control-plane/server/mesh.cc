#include "control-plane/server/mesh.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/base/log.h"
#include "control-plane/compile/external_authorization.h"
#include "control-plane/compile/inbound.h"

namespace weft::control::server {

namespace {

// As many as come back at once when a network was away for a moment; each is some 15 KiB.
constexpr size_t kMaxIdle = 1000;

bool is_due(const xds::Debounce& debounce, int64_t now_ms) {
  return debounce.due_ms().has_value() && *debounce.due_ms() <= now_ms;
}

bool may_be_disabled(const registry::Model& model) {
  bool is_disabled = false;
  model.mtls.for_each([&](const auto&, const std::shared_ptr<const registry::NamespaceMtls>& of_namespace) {
    is_disabled = is_disabled || registry::may_be_disabled(*of_namespace);
  });
  return is_disabled;
}

// Of no meaning, and so the same for all, where nothing is intercepted.
bool is_refusing(const registry::Model& model, const compile::Audience& audience, const std::string& service) {
  return audience.capture.port != 0 && model.refuses_unknown(audience.namespace_name, service);
}

// Whom the proxies of a service's workloads ask about calls.
std::vector<registry::ServiceName> authorizers_of(const registry::Model& model, const registry::ServiceName& service,
                                                  bool is_called) {
  if (!is_called) return {};
  return compile::authorizer_services(model.caller_rules_for(service).policies);
}

void tell_misfit(const absl::Status& status) {
  base::log_error(absl::StrCat("the model compiles to what does not fit together: ", std::string(status.message())));
}

}  // namespace

Mesh::Mesh(registry::ModelPointer model, Limits limits)
    : trust_domain_(std::move(limits.trust_domain)),
      applied_(model),
      newest_(std::move(model)),
      mtls_steps_(limits.mtls_step_ms, limits.mtls_settle_ms),
      debounce_(limits.all),
      endpoint_debounce_(limits.endpoints) {}

void Mesh::set(registry::ModelPointer model, const registry::ChangeSet& changed, int64_t changed_ms) {
  // What workloads change is of no revision of its own.
  const bool is_commit = model->revision != newest_->revision;
  newest_ = std::move(model);
  Commit commit{.revision = newest_->revision};
  if (changed.has_rest()) {
    pending_.services.insert(changed.services.begin(), changed.services.end());
    pending_.routes.insert(changed.routes.begin(), changed.routes.end());
    pending_.policies.insert(changed.policies.begin(), changed.policies.end());
    pending_.scopes.insert(changed.scopes.begin(), changed.scopes.end());
    pending_.mtls.insert(changed.mtls.begin(), changed.mtls.end());
    pending_.authorizations.insert(changed.authorizations.begin(), changed.authorizations.end());
    debounce_.note(changed_ms);
    commit.has_rest = true;
    // Endpoints go along with how they are called.
    if (!changed.mtls.empty()) pending_.endpoints.insert(changed.endpoints.begin(), changed.endpoints.end());
    // Those that wait go along with their service.
    const bool takes_along = std::any_of(pending_endpoints_.begin(), pending_endpoints_.end(),
                                         [this](const auto& name) { return waits_with_rest(name); });
    for (Commit& each : commits_) each.has_rest = each.has_rest || (takes_along && each.has_endpoints);
  }
  for (const registry::ServiceName& name : changed.endpoints) {
    if (waits_for_mode(name)) pending_.endpoints.insert(name);
    // A service that changes takes its endpoints along.
    if (waits_with_rest(name)) {
      commit.has_rest = true;
      continue;
    }
    pending_endpoints_.insert(name);
    endpoint_debounce_.note(changed_ms);
    commit.has_endpoints = true;
  }
  if (is_commit) commits_.push_back(commit);
}

// Its endpoints are marked for a mode that goes out with the rest. Where it had none, the mode did not take them along.
bool Mesh::waits_for_mode(const registry::ServiceName& name) const {
  const bool may_change =
      pending_.mtls.contains(name.namespace_name) || pending_.mtls.contains(std::string(registry::kRootNamespace));
  return may_change && !(plain_ports(*newest_, name) == plain_ports(*applied_, name));
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
  std::optional<int64_t> due_ms = mtls_steps_.due_ms([this](const auto& name) { return owes_endpoints_of(name); });
  for (const std::optional<int64_t> each : {debounce_.due_ms(), endpoint_debounce_.due_ms()}) {
    if (each.has_value()) due_ms = std::min(due_ms.value_or(*each), *each);
  }
  return due_ms;
}

std::optional<xds::Brought> Mesh::advance(int64_t now_ms, bool hurries) {
  const int64_t by_ms = hurries ? INT64_MAX : now_ms;
  const bool all = is_due(debounce_, by_ms);
  if (!all && !is_due(endpoint_debounce_, by_ms)) return std::nullopt;
  registry::ChangeSet changed;
  if (all) {
    changed = std::exchange(pending_, {});
    debounce_.reset(now_ms);
  }
  for (const registry::ServiceName& name : std::exchange(pending_endpoints_, {})) {
    if (!waits_with_rest(name)) changed.endpoints.insert(name);
  }
  endpoint_debounce_.reset(now_ms);
  if (changed.empty()) return std::nullopt;
  registry::ModelPointer after = newest_;
  if (!pending_.empty()) {
    auto with_endpoints = std::make_shared<registry::Model>(*applied_);
    for (const registry::ServiceName& name : changed.endpoints) {
      if (auto endpoints = newest_->endpoints.find(name)) with_endpoints->endpoints.set(name, std::move(endpoints));
    }
    after = std::move(with_endpoints);
  }
  const bool is_changing = begin_mtls_steps(*after, changed, now_ms);
  after = with_callers_held(std::move(after));
  apply(*after, changed);
  applied_ = std::move(after);
  std::set<std::string> may_move = changed.scopes;
  may_move.insert(changed.authorizations.begin(), changed.authorizations.end());
  if (!may_move.empty()) settle_audiences(may_move);
  // Whom a proxy asks about calls is in its audience by now.
  for (const registry::ServiceName& name : changed.services) apply_inbound_of(*applied_, name);
  std::set<std::string> asked_anew = changed.mtls;
  asked_anew.insert(changed.authorizations.begin(), changed.authorizations.end());
  if (!asked_anew.empty()) apply_caller_rules(asked_anew);
  xds::Brought brought = take_commits(all);
  // A service that is new can be called whatever step it is at.
  hold_back_for_steps(is_changing && !changed.mtls.empty(), brought);
  return brought;
}

// What changes how services are called is finished when the last step is over, or none is left.
void Mesh::hold_back_for_steps(bool is_changing, xds::Brought& brought) {
  std::vector<uint64_t>& waiting = commits_in_steps_;
  if (mtls_steps_.empty()) {
    brought.touched.insert(brought.touched.end(), waiting.begin(), waiting.end());
    brought.finished.insert(brought.finished.end(), waiting.begin(), waiting.end());
    waiting.clear();
  } else if (is_changing) {
    waiting.insert(waiting.end(), brought.finished.begin(), brought.finished.end());
    brought.finished.clear();
  }
}

// True if it is a change of how callers call, or of one that is under way.
bool Mesh::begin_mtls_steps(const registry::Model& after, const registry::ChangeSet& changed, int64_t now_ms) {
  std::set<registry::ServiceName> services = changed.services;
  const auto add = [&](const registry::ServiceName& name, const auto&) { services.insert(name); };
  if (changed.mtls.contains(std::string(registry::kRootNamespace))) after.services.for_each(add);
  for (const std::string& name : changed.mtls) {
    if (const auto all = after.by_namespace.find({name})) all->for_each(add);
  }
  bool is_changing = false;
  for (const registry::ServiceName& name : services) {
    // Nobody of the mesh is behind it.
    if (name.external) continue;
    if (after.services.find(name) == nullptr) {
      mtls_steps_.forget(name);
    } else if (mtls_steps_.want(name, plain_ports(after, name), now_ms)) {
      is_changing = true;
    }
  }
  return is_changing;
}

registry::ModelPointer Mesh::with_callers_held(registry::ModelPointer after) const {
  if (mtls_steps_.empty()) return after;
  auto held = std::make_shared<registry::Model>(*after);
  for (const auto& [name, plain] : mtls_steps_.called()) {
    if (const auto is = after->endpoints.find(name)) held->endpoints.set(name, called_as(plain, *is));
  }
  return held;
}

std::optional<xds::Brought> Mesh::advance_mtls(int64_t now_ms, const xds::Rollouts& rollouts) {
  // What was DISABLE took TLS until now.
  if (mtls_steps_.take_returned(now_ms) && may_be_disabled(*applied_)) {
    apply_caller_rules({std::string(registry::kRootNamespace)});
  }
  if (mtls_steps_.empty()) return std::nullopt;
  const std::vector<MtlsSteps::Over> over =
      mtls_steps_.take_over(now_ms, rollouts, [this](const auto& name) { return owes_endpoints_of(name); });
  if (over.empty()) return std::nullopt;
  registry::ChangeSet told;
  for (const MtlsSteps::Over& each : over) {
    if (!each.is_done) told.endpoints.insert(each.service);
  }
  registry::ModelPointer after = with_callers_held(applied_);
  apply(*after, told);
  applied_ = std::move(after);
  for (const MtlsSteps::Over& each : over) {
    if (each.is_done) apply_inbound_of(*applied_, each.service);
  }
  xds::Brought brought{.touched = commits_in_steps_, .finished = {}};
  if (mtls_steps_.empty()) brought.finished = std::exchange(commits_in_steps_, {});
  return brought;
}

void Mesh::apply(const registry::Model& after, const registry::ChangeSet& changed) {
  cache_.forget(changed);
  std::map<Interest::Id, registry::ChangeSet> concerned;
  const auto spread = [&](std::set<registry::ServiceName> registry::ChangeSet::* part) {
    for (const registry::ServiceName& name : changed.*part) {
      for (const Interest::Id id : interest_.of(name)) (concerned[id].*part).insert(name);
    }
  };
  spread(&registry::ChangeSet::services);
  spread(&registry::ChangeSet::endpoints);
  spread(&registry::ChangeSet::routes);
  spread(&registry::ChangeSet::policies);
  for (const auto& [id, of_audience] : concerned) {
    const Audiences::iterator audience = audience_of_id_.at(id);
    if (audience->second.users == 0) {
      drop_audience(audience);
      continue;
    }
    const snapshot::View::Generation before = audience->second.view.generation();
    apply(after, of_audience, audience);
    if (!(audience->second.view.generation() == before)) note_changed(audience->second);
  }
}

void Mesh::apply_inbound_of(const registry::Model& model, const registry::ServiceName& service) {
  const auto nodes = nodes_of_service_.find(service);
  if (nodes == nodes_of_service_.end()) return;
  for (Node* node : nodes->second) {
    apply_inbound(model, *node);
    changed_.insert(&node->view);
  }
}

void Mesh::note_changed(const Audience& audience) {
  changed_.insert(&audience.view);
  for (const Node* node : audience.nodes) changed_.insert(&node->view);
}

std::vector<const snapshot::View*> Mesh::take_changed() {
  std::vector<const snapshot::View*> views(changed_.begin(), changed_.end());
  changed_.clear();
  return views;
}

void Mesh::apply(const registry::Model& after, const registry::ChangeSet& changed, Audiences::iterator audience) {
  Audience& entry = audience->second;
  std::set<registry::ServiceName> borrowed = entry.borrowed;
  // Endpoints and policies change nothing of where calls go.
  const bool may_borrow = !changed.services.empty() || !changed.routes.empty();
  const compile::Reach reach_before(*applied_, audience->first);
  const compile::Reach reach(after, audience->first);
  if (may_borrow) borrowed = reach.borrowed();
  const absl::Status applied =
      entry.view.apply(compile::compile_changes({reach_before, entry.borrowed}, {reach, borrowed}, changed, cache_));
  if (applied.ok()) {
    if (may_borrow) interest_.borrow(entry.id, entry.borrowed, borrowed);
    entry.borrowed = std::move(borrowed);
    return;
  }
  // The change said less than it was; all of it is compiled, and what is then still wrong stays as it was.
  base::log_error(
      absl::StrCat("a change of the model does not fit what was compiled before: ", std::string(applied.message())));
  compile_anew(after, audience);
}

void Mesh::compile_anew(const registry::Model& model, Audiences::iterator audience) {
  Audience& entry = audience->second;
  const compile::Reach reach(model, audience->first);
  compile::Compiled compiled = compile::compile_all(reach, cache_);
  if (roots_ != nullptr) snapshot::put(roots_, compiled[static_cast<size_t>(snapshot::Type::kSecret)]);
  const absl::Status applied = entry.view.apply(snapshot::difference(entry.view, compiled));
  if (!applied.ok()) tell_misfit(applied);
  std::set<registry::ServiceName> borrowed = reach.borrowed();
  interest_.borrow(entry.id, entry.borrowed, borrowed);
  entry.borrowed = std::move(borrowed);
}

// Nodes of these namespaces, or of all if the root is among them, may belong to other audiences now.
void Mesh::settle_audiences(const std::set<std::string>& changed) {
  const bool everywhere = changed.contains(std::string(registry::kRootNamespace));
  for (auto& [view, node] : nodes_) {
    if (everywhere || changed.contains(node->service.namespace_name)) settle_audience(*node);
  }
}

void Mesh::settle_audience(Node& node) {
  compile::Audience audience = node.audience->first;
  if (audience.is_grpc_client) return;
  const registry::ScopePointer scope = applied_->scope_for(node.service.namespace_name, node.service.name);
  const std::optional<compile::Hosts> declared = node.is_limited ? node.declared : audience.scope;
  audience.scope = compile::scope_of(scope.get(), declared);
  audience.capture.refuses_unknown = is_refusing(*applied_, audience, node.service.name);
  audience.authorizers = authorizers_of(*applied_, node.service, node.inbound.has_value());
  node.is_limited = scope != nullptr;
  node.declared = scope != nullptr ? declared : std::nullopt;
  if (audience == node.audience->first) return;
  const auto before = node.audience;
  before->second.nodes.erase(&node);
  node.audience = acquire_audience(audience);
  node.audience->second.nodes.insert(&node);
  node.view.stand_on(&node.audience->second.view);
  changed_.insert(&node.view);
  release_audience(before);
}

// What these nodes ask of their callers, or all nodes if the root's changed.
void Mesh::apply_caller_rules(const std::set<std::string>& changed) {
  const bool everywhere = changed.contains(std::string(registry::kRootNamespace));
  for (auto& [view, node] : nodes_) {
    if (!node->inbound.has_value()) continue;
    if (!everywhere && !changed.contains(node->service.namespace_name)) continue;
    const snapshot::View::Generation before = node->view.generation();
    apply_inbound(*applied_, *node);
    if (!(node->view.generation() == before)) changed_.insert(view);
  }
}

void Mesh::apply_inbound(const registry::Model& model, Node& node) {
  if (!node.inbound.has_value()) return;
  const auto mode_of = [&](uint16_t port) {
    const registry::MtlsMode mode = model.mtls_mode(node.service.namespace_name, node.service.name, port);
    return mtls_steps_.mode_of(node.service, port, mode);
  };
  std::vector<compile::InboundPort> ports = compile::inbound_ports(model, node.service, *node.inbound);
  for (compile::InboundPort& port : ports) port.mtls = mode_of(port.app_port);
  compile::Compiled compiled;
  const registry::CallerRules rules = model.caller_rules_for(node.service);
  const compile::InboundMtls rest = {.mode = mode_of(0), .trust_domain = trust_domain_};
  for (snapshot::ResourcePointer& resource : compile::compile_inbound(*node.inbound, ports, rest, rules)) {
    snapshot::Resources& of_type = compiled[static_cast<size_t>(resource->type)];
    snapshot::put(cache_.interner().intern(std::move(resource)), of_type);
  }
  if (node.secret != nullptr) snapshot::put(node.secret, compiled[static_cast<size_t>(snapshot::Type::kSecret)]);
  const absl::Status applied = node.view.apply(snapshot::difference(node.view, compiled));
  if (!applied.ok()) tell_misfit(applied);
}

void Mesh::set_roots(snapshot::ResourcePointer roots) {
  roots_ = std::move(roots);
  for (auto& [key, audience] : audiences_) {
    const absl::Status applied = audience.view.apply({{roots_->type, roots_->name, roots_}});
    if (!applied.ok()) tell_misfit(applied);
    note_changed(audience);
  }
}

void Mesh::set_secret(const snapshot::View& view, snapshot::ResourcePointer secret) {
  const auto found = nodes_.find(&view);
  if (found == nodes_.end()) return;
  Node& node = *found->second;
  node.secret = std::move(secret);
  const absl::Status applied = node.view.apply({{node.secret->type, node.secret->name, node.secret}});
  if (!applied.ok()) tell_misfit(applied);
  changed_.insert(&view);
}

Mesh::Audiences::iterator Mesh::acquire_audience(const compile::Audience& audience) {
  const auto [entry, is_new] = audiences_.try_emplace(audience);
  if (is_new) {
    entry->second.id = ++last_id_;
    audience_of_id_.emplace(entry->second.id, entry);
    interest_.add(entry->second.id, audience);
    audience_of_view_.emplace(&entry->second.view, entry);
    compile_anew(*applied_, entry);
  } else if (entry->second.users == 0) {
    idle_.erase(entry->second.idle);
  }
  ++entry->second.users;
  return entry;
}

void Mesh::release_audience(Audiences::iterator audience) {
  Audience& entry = audience->second;
  if (--entry.users != 0) return;
  entry.idle = idle_.insert(idle_.end(), &audience->first);
  if (idle_.size() > kMaxIdle) drop_audience(audiences_.find(*idle_.front()));
}

void Mesh::drop_audience(Audiences::iterator audience) {
  Audience& entry = audience->second;
  idle_.erase(entry.idle);
  interest_.borrow(entry.id, entry.borrowed, {});
  interest_.remove(entry.id, audience->first);
  audience_of_id_.erase(entry.id);
  audience_of_view_.erase(&entry.view);
  changed_.erase(&entry.view);
  audiences_.erase(audience);
}

absl::StatusOr<const snapshot::View*> Mesh::acquire(const envoy::config::core::v3::Node& from) {
  absl::StatusOr<compile::NodeClaims> claims = compile::read_node(from);
  if (!claims.ok()) return claims.status();
  compile::Audience& audience = claims->audience;
  // A client of gRPC gets what it asks for.
  if (audience.is_grpc_client) return &acquire_audience(audience)->second.view;
  const registry::ScopePointer scope = applied_->scope_for(audience.namespace_name, claims->service);
  audience.scope = compile::scope_of(scope.get(), claims->scope);
  if (claims->mtls) audience.trust_domain = trust_domain_;
  audience.capture.refuses_unknown = is_refusing(*applied_, audience, claims->service);
  audience.authorizers =
      authorizers_of(*applied_, {audience.namespace_name, claims->service}, claims->inbound.has_value());
  const auto shared = acquire_audience(audience);
  auto node = std::make_unique<Node>(Node{.audience = shared,
                                          .service = {audience.namespace_name, claims->service},
                                          .inbound = claims->inbound,
                                          .is_limited = scope != nullptr,
                                          .declared = scope != nullptr ? std::move(claims->scope) : std::nullopt,
                                          .view = snapshot::View(&shared->second.view)});
  shared->second.nodes.insert(node.get());
  apply_inbound(*applied_, *node);
  if (node->inbound.has_value()) nodes_of_service_[node->service].insert(node.get());
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
  changed_.erase(&view);
  node->audience->second.nodes.erase(node.get());
  const auto of_service = nodes_of_service_.find(node->service);
  if (of_service != nodes_of_service_.end()) {
    of_service->second.erase(node.get());
    if (of_service->second.empty()) nodes_of_service_.erase(of_service);
  }
  release_audience(node->audience);
}

}  // namespace weft::control::server
