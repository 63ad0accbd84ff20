#include "control-plane/server/mesh.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/base/log.h"
#include "envoy/config/core/v3/base.pb.h"

namespace weft::server {

namespace {

constexpr char kDefaultNamespace[] = "default";
// As gRPC's clients call themselves: "gRPC Go", "gRPC C-core" …
constexpr char kGrpcAgent[] = "gRPC";
constexpr double kMaxPort = 65535;

bool is_due(const xds::Debounce& debounce, int64_t now_ms) {
  return debounce.due_ms().has_value() && *debounce.due_ms() <= now_ms;
}

}  // namespace

compile::Audience audience_of(const envoy::config::core::v3::Node& node) {
  compile::Audience audience;
  audience.namespace_name = kDefaultNamespace;
  audience.is_grpc_client = node.user_agent_name().starts_with(kGrpcAgent);
  const auto& metadata = node.metadata().fields();
  const auto name = metadata.find("namespace");
  if (name != metadata.end() && !name->second.string_value().empty())
    audience.namespace_name = name->second.string_value();
  const auto port = metadata.find("outbound_port");
  const double number = port == metadata.end() || audience.is_grpc_client ? 0 : port->second.number_value();
  if (number >= 1 && number <= kMaxPort) audience.outbound_port = static_cast<uint16_t>(number);
  return audience;
}

Mesh::Mesh(registry::ModelPointer model, Limits limits)
    : applied_(model), newest_(std::move(model)), debounce_(limits.all), endpoint_debounce_(limits.endpoints) {}

void Mesh::set(registry::ModelPointer model, const registry::ChangeSet& changed, int64_t now_ms) {
  newest_ = std::move(model);
  if (!changed.services.empty() || !changed.routes.empty() || !changed.policies.empty()) {
    pending_.services.insert(changed.services.begin(), changed.services.end());
    pending_.routes.insert(changed.routes.begin(), changed.routes.end());
    pending_.policies.insert(changed.policies.begin(), changed.policies.end());
    debounce_.note(now_ms);
  }
  for (const registry::ServiceName& name : changed.endpoints) {
    // A service that changes takes its endpoints along.
    if (pending_.services.contains(name)) continue;
    pending_endpoints_.insert(name);
    endpoint_debounce_.note(now_ms);
  }
}

std::optional<int64_t> Mesh::due_ms() const {
  const std::optional<int64_t> all = debounce_.due_ms();
  const std::optional<int64_t> endpoints = endpoint_debounce_.due_ms();
  if (!all.has_value()) return endpoints;
  if (!endpoints.has_value()) return all;
  return std::min(*all, *endpoints);
}

bool Mesh::advance(int64_t now_ms) {
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
  if (changed.empty()) return false;
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
  return true;
}

void Mesh::apply(const registry::Model& after, const registry::ChangeSet& changed) {
  for (auto& [audience, entry] : audiences_) {
    const absl::Status applied =
        entry->view.apply(compile::compile_changes(*applied_, after, changed, audience, interner_));
    if (applied.ok()) continue;
    // The change said less than it was; all of it is compiled, and what is then still wrong stays as it was.
    base::log_error(
        absl::StrCat("a change of the model does not fit what was compiled before: ", std::string(applied.message())));
    const absl::Status whole =
        entry->view.apply(snapshot::difference(entry->view, compile::compile_all(after, audience, interner_)));
    if (!whole.ok())
      base::log_error(absl::StrCat("the model compiles to what does not fit together: ", std::string(whole.message())));
  }
}

const snapshot::View& Mesh::acquire(const envoy::config::core::v3::Node& node) {
  const compile::Audience audience = audience_of(node);
  std::unique_ptr<Audience>& entry = audiences_[audience];
  if (entry == nullptr) {
    entry = std::make_unique<Audience>();
    const absl::Status applied =
        entry->view.apply(snapshot::difference(entry->view, compile::compile_all(*applied_, audience, interner_)));
    if (!applied.ok())
      base::log_error(
          absl::StrCat("the model compiles to what does not fit together: ", std::string(applied.message())));
  }
  ++entry->users;
  return entry->view;
}

void Mesh::release(const snapshot::View& view) {
  const auto entry =
      std::find_if(audiences_.begin(), audiences_.end(), [&](const auto& each) { return &each.second->view == &view; });
  if (entry != audiences_.end() && --entry->second->users == 0) audiences_.erase(entry);
}

}  // namespace weft::server
