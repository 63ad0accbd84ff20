#include "control-plane/server/control.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <map>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"
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

Control::Control(std::unique_ptr<source::Store> store, base::Clock* clock, std::unique_ptr<AddressStore> addresses)
    : store_(std::move(store)),
      clock_(clock),
      addresses_(std::move(addresses)),
      files_([](const source::Draft& draft) { return registry::validate(draft); }) {}

absl::StatusOr<std::unique_ptr<Control>> Control::create(std::unique_ptr<source::Store> store, base::Clock* clock,
                                                         std::unique_ptr<AddressStore> addresses) {
  std::unique_ptr<Control> control(new Control(std::move(store), clock, std::move(addresses)));
  if (absl::Status status = control->start(); !status.ok()) return status;
  return control;
}

absl::Status Control::start() {
  absl::StatusOr<source::Listing> listing = store_->list();
  if (!listing.ok()) return listing.status();
  const Revision revision = listing->revision;
  for (const source::Object& object : listing->objects) {
    if (!source::origin_of(*object.content).empty()) files_.adopt(object);
  }
  if (addresses_ != nullptr) {
    const auto known = addresses_->load();
    if (!known.ok()) return known.status();
    registry_.virtual_addresses().restore(*known);
  }
  registry_.apply(revision, as_changes(*std::move(listing)), clock_->wall_ms());
  registry_.virtual_addresses().release_unclaimed();
  save_addresses();
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

void Control::save_addresses() {
  const auto changes = registry_.virtual_addresses().take_changes();
  if (addresses_ == nullptr) return;
  if (const absl::Status saved = addresses_->save(changes); !saved.ok()) {
    base::log_warning(
        cat("virtual addresses that are not kept may be others after a restart of weft-control: ", saved.message()));
  }
}

void Control::publish(Revision revision, const std::vector<Change>& changes) {
  const registry::ChangeSet changed = registry_.apply(revision, changes, clock_->wall_ms());
  // Before anybody hears of them.
  save_addresses();
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
    applied.outcomes.push_back({write.key, before.ok() ? before->content : nullptr, write.content, {}});
  }
  const int64_t now_ms = clock_->wall_ms();
  if (!dry_run) {
    const auto revision = store_->commit(writes, now_ms, author);
    if (!revision.ok()) return revision.status();
    applied.revision = *revision;
    // The store keeps what it has where nothing new is said.
    for (Outcome& outcome : applied.outcomes) {
      const auto now = store_->get(outcome.key);
      if (now.ok() && now->content == outcome.before) outcome.after = outcome.before;
    }
    // A file may have waited for what is gone now.
    if (!told_refusals_.empty()) {
      if (absl::Status status = settle_files(); !status.ok()) base::log_error(std::string(status.message()));
    }
    add_warnings(registry_, &applied);
    return applied;
  }
  if (absl::Status status = store_->check(writes); !status.ok()) return status;
  for (Outcome& outcome : applied.outcomes) {
    const bool is_kept =
        outcome.before != nullptr && outcome.after != nullptr && source::same_intent(*outcome.before, *outcome.after);
    if (is_kept) outcome.after = outcome.before;
  }
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

absl::Status Control::check_owners(const std::vector<Write>& writes) const {
  std::string mistakes;
  for (const Write& write : writes) {
    const std::string origin = files_.origin(write.key);
    if (origin.empty()) continue;
    text::append(&mistakes, mistakes.empty() ? "" : "\n", to_string(write.key), " is from ", origin,
                 "; change it in that file");
  }
  return mistakes.empty() ? absl::OkStatus() : absl::FailedPreconditionError(mistakes);
}

absl::Status Control::take_files(const source::directory::Scan& scan) {
  const std::lock_guard lock(mutex_);
  files_.update(scan);
  return settle_files();
}

absl::Status Control::settle_files() {
  const source::directory::Plan plan = files_.settle([this](const Key& key) -> std::string {
    const auto object = store_->get(key);
    if (!object.ok()) return "";
    return cat("in the database already, since revision ", object->revision,
               "; take it out of this file, or delete it there: weftctl delete ", source::kind_info(key.kind).plural,
               " ", key.name, key.namespace_name.empty() ? "" : cat(" -n ", key.namespace_name));
  });
  std::vector<source::directory::Refusal> refusals = files_.refusals();
  for (const auto& refusal : refusals) {
    if (std::find(told_refusals_.begin(), told_refusals_.end(), refusal) != told_refusals_.end()) continue;
    ++refusals_total_;
    base::log_warning(cat("refused, what was good of it before stays in force: ", refusal.reason));
  }
  told_refusals_ = std::move(refusals);
  if (!plan.writes.empty()) {
    const auto revision = store_->commit(plan.writes, clock_->wall_ms(), plan.author);
    if (!revision.ok()) return revision.status();
    base::log_info(cat("revision ", *revision, ": ", plan.author));
  }
  files_.confirm();
  return absl::OkStatus();
}

DirectoryStatus Control::directory_status() {
  const std::lock_guard lock(mutex_);
  return {files_.size(), files_.refusals(), refusals_total_};
}

absl::StatusOr<std::vector<Write>> Control::writes_of(const std::vector<source::Draft>& drafts) {
  std::string mistakes;
  std::map<Key, const source::Draft*> seen;
  std::vector<Write> writes;
  for (const source::Draft& draft : drafts) {
    const absl::Status status = registry::validate(draft);
    if (!status.ok()) text::append(&mistakes, mistakes.empty() ? "" : "\n", status.message());
    const auto [first, added] = seen.try_emplace(draft.key, &draft);
    if (!added) {
      text::append(&mistakes, mistakes.empty() ? "" : "\n", draft.positions().locate("metadata.name"), ": ",
                   to_string(draft.key), " stands a second time; the first is at ",
                   first->second->positions().locate("metadata.name"));
    }
    Write write{.key = draft.key, .content = draft.content, .expected = std::nullopt, .is_valid = true};
    if (draft.expected_revision != 0) write.expected = draft.expected_revision;
    writes.push_back(std::move(write));
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return writes;
}

absl::StatusOr<Applied> Control::apply(const std::vector<source::Draft>& drafts, bool dry_run,
                                       const std::string& author) {
  const absl::StatusOr<std::vector<Write>> writes = writes_of(drafts);
  if (!writes.ok()) return writes.status();
  const std::lock_guard lock(mutex_);
  if (absl::Status status = check_owners(*writes); !status.ok()) return status;
  return commit(*writes, dry_run, author);
}

absl::StatusOr<Applied> Control::remove(const std::vector<Key>& keys, bool dry_run, const std::string& author) {
  std::vector<Write> writes;
  for (const Key& key : keys) writes.push_back({key, nullptr, std::nullopt});
  const std::lock_guard lock(mutex_);
  if (absl::Status status = check_owners(writes); !status.ok()) return status;
  return commit(writes, dry_run, author);
}

absl::StatusOr<Applied> Control::roll_back(Revision revision, bool dry_run) {
  const std::lock_guard lock(mutex_);
  const auto then = store_->list_at(revision);
  if (!then.ok()) return then.status();
  const auto now = store_->list();
  if (!now.ok()) return now.status();
  std::map<Key, source::Content> wanted;
  const auto is_from_file = [this](const source::Object& object) {
    return !source::origin_of(*object.content).empty() || !files_.origin(object.key).empty();
  };
  for (const source::Object& object : then->objects) {
    if (!is_from_file(object)) wanted.emplace(object.key, object.content);
  }
  std::vector<Write> writes;
  for (const source::Object& object : now->objects) {
    if (is_from_file(object)) continue;
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

analyze::Findings Control::findings(const registry::Registry& registry,
                                    const std::map<Key, source::Object>& objects) const {
  std::vector<analyze::Judged> judged;
  judged.reserve(objects.size());
  for (const auto& [key, object] : objects) judged.push_back({object, registry.status(key)});
  const std::vector<source::directory::Refusal> refusals = files_.refusals();
  return analyze::analyze({*registry.model(), judged, refusals});
}

absl::StatusOr<Control::Analysis> Control::analyze(const std::vector<source::Draft>& drafts) {
  const absl::StatusOr<std::vector<Write>> writes = writes_of(drafts);
  if (!writes.ok()) return writes.status();
  const std::lock_guard lock(mutex_);
  const auto listing = store_->list();
  if (!listing.ok()) return listing.status();
  std::map<Key, source::Object> objects;
  for (const source::Object& object : listing->objects) objects.emplace(object.key, object);
  analyze::Findings found = findings(registry_, objects);

  std::map<Key, const source::Draft*> draft_of;
  if (!drafts.empty()) {
    std::vector<Change> changes;
    std::vector<Key> keys;
    for (const source::Draft& draft : drafts) {
      keys.push_back(draft.key);
      draft_of[draft.key] = &draft;
      const auto known = objects.find(draft.key);
      if (known != objects.end() && source::same_intent(*known->second.content, *draft.content)) continue;
      // As old as what it takes the place of; a new one is the youngest.
      const source::Content content = source::with_age(
          *draft.content, known == objects.end() ? nullptr : known->second.content.get(), clock_->wall_ms());
      changes.push_back({draft.key, listing->revision + 1, content});
      objects[draft.key] = {draft.key, listing->revision + 1, content};
    }
    registry::Registry trial = registry_;
    trial.apply(listing->revision + 1, changes, clock_->wall_ms());
    found = analyze::of_change(found, findings(trial, objects), keys);
  }

  Analysis out;
  out.revision = listing->revision;
  std::map<Key, text::PositionMap> positions_of;
  for (analyze::Finding& finding : found) {
    Located located;
    const auto draft = draft_of.find(finding.key);
    const auto object = objects.find(finding.key);
    if (draft != draft_of.end()) {
      const auto [positions, is_new] = positions_of.try_emplace(finding.key);
      if (is_new) positions->second = draft->second->positions();
      located.origin = cat(draft->second->written.file_name, ":", positions->second.find(finding.path).line);
    } else {
      located.origin = files_.origin(finding.key);
    }
    if (object != objects.end() && object->second.revision <= out.revision) located.revision = object->second.revision;
    located.finding = std::move(finding);
    out.findings.push_back(std::move(located));
  }
  return out;
}

registry::ModelPointer Control::model() {
  const std::lock_guard lock(mutex_);
  return registry_.model();
}

std::string Control::origin(const Key& key) {
  const std::lock_guard lock(mutex_);
  return files_.origin(key);
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
    auto shown = registry::with_status(*object.content, status.get());
    std::string origin = files_.origin(key);
    if (!origin.empty()) source::set_origin(origin, shown.get());
    out.push_back({object, std::move(shown), std::move(origin)});
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
