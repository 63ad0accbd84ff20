#include "control-plane/server/control.h"

#include <google/protobuf/message.h>

#include <map>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"

namespace weft::control::server {

using source::Change;
using source::Key;
using source::Revision;
using source::Write;
using text::cat;

namespace {

// Everything that is in the model, as changed.
registry::ChangeSet all_of(const registry::Model& model) {
  registry::ChangeSet out;
  model.services.for_each([&](const registry::ServiceName& name, const auto&) { out.services.insert(name); });
  out.endpoints = out.routes = out.policies = out.services;
  return out;
}

std::vector<Change> as_changes(source::Listing listing) {
  std::vector<Change> out;
  out.reserve(listing.objects.size());
  for (source::Object& object : listing.objects) {
    out.push_back({std::move(object.key), object.revision, std::move(object.content)});
  }
  return out;
}

void add_warnings(const registry::Registry& registry, Applied* applied) {
  for (Outcome& outcome : applied->outcomes) {
    const auto status = registry.status(outcome.key);
    if (status != nullptr && outcome.after != nullptr) outcome.warnings = registry::warnings_of(*status);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Control>> Control::create(std::unique_ptr<source::Store> store, base::Clock* clock) {
  std::unique_ptr<Control> control(new Control(std::move(store), clock));
  if (absl::Status status = control->start(); !status.ok()) return status;
  return control;
}

absl::Status Control::start() {
  absl::StatusOr<source::Listing> listing = store_->list();
  if (!listing.ok()) return listing.status();
  const Revision revision = listing->revision;
  registry_.apply(revision, as_changes(*std::move(listing)), clock_->wall_ms());
  auto watch =
      store_->watch(revision, [this](Revision at, const std::vector<Change>& changes) { publish(at, changes); });
  if (!watch.ok()) return watch.status();
  watch_ = *std::move(watch);
  return absl::OkStatus();
}

void Control::set_on_model(OnModel on_model) {
  const std::lock_guard lock(mutex_);
  on_model_ = std::move(on_model);
  on_model_(registry_.model(), all_of(*registry_.model()));
}

void Control::publish(Revision revision, const std::vector<Change>& changes) {
  const registry::ChangeSet changed = registry_.apply(revision, changes, clock_->wall_ms());
  if (on_model_ && !changed.empty()) on_model_(registry_.model(), changed);
}

void Control::apply_workloads(const std::vector<registry::WorkloadChange>& changes) {
  const std::lock_guard lock(mutex_);
  const registry::ChangeSet changed = registry_.apply_workloads(changes);
  if (on_model_ && !changed.empty()) on_model_(registry_.model(), changed);
}

std::vector<Control::FoundWorkload> Control::workloads(const std::string& namespace_name, const std::string& service) {
  const std::lock_guard lock(mutex_);
  std::vector<FoundWorkload> out;
  for (const auto& [name, of_service] : registry_.workloads()) {
    if (!namespace_name.empty() && name.namespace_name != namespace_name) continue;
    if (!service.empty() && name.name != service) continue;
    for (const auto& [node, workload] : of_service) out.push_back({workload, registry_.is_attached(workload)});
  }
  return out;
}

absl::StatusOr<Applied> Control::commit(const std::vector<Write>& writes, bool dry_run, const std::string& author) {
  Applied applied;
  for (const Write& write : writes) {
    const auto before = store_->get(write.key);
    if (!before.ok() && before.status().code() != absl::StatusCode::kNotFound) return before.status();
    Outcome outcome{write.key, before.ok() ? before->content : nullptr, write.content, {}};
    if (outcome.before != nullptr && outcome.after != nullptr && source::same_intent(*outcome.before, *outcome.after)) {
      outcome.after = outcome.before;
    }
    applied.outcomes.push_back(std::move(outcome));
  }
  const int64_t now_ms = clock_->wall_ms();
  if (!dry_run) {
    const auto revision = store_->commit(writes, now_ms, author);
    if (!revision.ok()) return revision.status();
    applied.revision = *revision;
    add_warnings(registry_, &applied);
    return applied;
  }
  if (absl::Status status = store_->check(writes); !status.ok()) return status;
  applied.revision = registry_.model()->revision;
  std::vector<Change> changes;
  for (const Outcome& outcome : applied.outcomes) {
    if (outcome.after != outcome.before) changes.push_back({outcome.key, applied.revision + 1, outcome.after});
  }
  // On a copy, which finds what the commit would.
  registry::Registry trial = registry_;
  trial.apply(applied.revision + 1, changes, now_ms);
  add_warnings(trial, &applied);
  return applied;
}

absl::StatusOr<Applied> Control::apply(const std::vector<source::Draft>& drafts, bool dry_run,
                                       const std::string& author) {
  std::string mistakes;
  std::map<Key, const source::Draft*> seen;
  std::vector<Write> writes;
  for (const source::Draft& draft : drafts) {
    const absl::Status status = registry::validate(draft);
    if (!status.ok()) text::append(&mistakes, mistakes.empty() ? "" : "\n", status.message());
    const auto [first, added] = seen.try_emplace(draft.key, &draft);
    if (!added) {
      text::append(&mistakes, mistakes.empty() ? "" : "\n", draft.positions.locate("metadata.name"), ": ",
                   to_string(draft.key), " stands a second time; the first is at ",
                   first->second->positions.locate("metadata.name"));
    }
    Write write{draft.key, draft.content, std::nullopt};
    if (draft.expected_revision != 0) write.expected = draft.expected_revision;
    writes.push_back(std::move(write));
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  const std::lock_guard lock(mutex_);
  return commit(writes, dry_run, author);
}

absl::StatusOr<Applied> Control::remove(const std::vector<Key>& keys, bool dry_run, const std::string& author) {
  std::vector<Write> writes;
  for (const Key& key : keys) writes.push_back({key, nullptr, std::nullopt});
  const std::lock_guard lock(mutex_);
  return commit(writes, dry_run, author);
}

absl::StatusOr<Applied> Control::roll_back(Revision revision, bool dry_run) {
  const std::lock_guard lock(mutex_);
  const auto then = store_->list_at(revision);
  if (!then.ok()) return then.status();
  const auto now = store_->list();
  if (!now.ok()) return now.status();
  std::map<Key, source::Content> wanted;
  for (const source::Object& object : then->objects) wanted.emplace(object.key, object.content);
  std::vector<Write> writes;
  for (const source::Object& object : now->objects) {
    const auto found = wanted.find(object.key);
    if (found == wanted.end()) {
      writes.push_back({object.key, nullptr, object.revision});
      continue;
    }
    if (!source::same_intent(*found->second, *object.content)) {
      writes.push_back({object.key, found->second, object.revision});
    }
    wanted.erase(found);
  }
  for (const auto& [key, content] : wanted) writes.push_back({key, content, 0});
  return commit(writes, dry_run, cat("rollback to ", revision));
}

absl::StatusOr<std::vector<Found>> Control::get(const Selection& selection) {
  const std::lock_guard lock(mutex_);
  const auto listing = store_->list();
  if (!listing.ok()) return listing.status();
  std::vector<Found> out;
  for (const source::Object& object : listing->objects) {
    const Key& key = object.key;
    if (selection.kind.has_value() && key.kind != *selection.kind) continue;
    const bool elsewhere = !selection.namespace_name.empty() && key.namespace_name != selection.namespace_name;
    if (elsewhere && source::kind_info(key.kind).in_namespace) continue;
    if (!selection.name.empty() && key.name != selection.name) continue;
    const auto status = registry_.status(key);
    out.push_back({object, registry::with_status(*object.content, status.get())});
  }
  if (out.empty() && !selection.name.empty()) {
    const Key wanted{selection.kind.value_or(source::Kind::kNamespace), selection.namespace_name, selection.name};
    return absl::NotFoundError(cat(to_string(wanted), " does not exist"));
  }
  return out;
}

absl::StatusOr<std::vector<source::Commit>> Control::history(const std::optional<Key>& key, size_t limit) {
  const std::lock_guard lock(mutex_);
  return store_->history(key, limit);
}

Revision Control::revision() {
  const std::lock_guard lock(mutex_);
  return registry_.model()->revision;
}

}  // namespace weft::control::server
