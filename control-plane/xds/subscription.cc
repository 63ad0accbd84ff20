#include "control-plane/xds/subscription.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"

namespace weft::control::xds {

namespace {

constexpr std::string_view kWildcard = "*";

bool is_name_character(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '/' || c == '|'; }

}  // namespace

bool mentions(std::string_view text, std::string_view name) {
  if (name.empty()) return false;
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    // "cart.shop:80" is not meant by "cart.shop:8080", and may well stand before ": no such host" or a full stop.
    const bool begins = at == 0 || !(is_name_character(text[at - 1]) || text[at - 1] == '.');
    const bool ends = end == text.size() ||
                      !(is_name_character(text[end]) || ((text[end] == '.' || text[end] == ':') &&
                                                         end + 1 < text.size() && is_name_character(text[end + 1])));
    if (begins && ends) return true;
  }
  return false;
}

bool Subscription::owes_first(const View& view) const {
  return std::any_of(due_.begin(), due_.end(), [&](const auto& due) {
    return due.second && !held_.contains(due.first) && view.find(type_, due.first) != nullptr;
  });
}

void Subscription::forget(const std::string& name) {
  held_.erase(name);
  due_.erase(name);
  refused_.erase(name);
}

void Subscription::drop_unwanted() {
  const auto unwanted = [&](const auto& entry) { return !wants(entry.first); };
  absl::erase_if(held_, [&](const ResourcePointer& resource) { return !wants(resource->name); });
  absl::erase_if(due_, unwanted);
  absl::erase_if(refused_, unwanted);
}

void Subscription::set_names(std::vector<std::string> names, const View& view) {
  const bool was_begun = std::exchange(begun_, true);
  const bool was_wildcard = wildcard_;
  // No name at all means everything, as long as none was ever given.
  const bool legacy_wildcard =
      names.empty() && has_legacy_wildcard() && (!was_begun || (was_wildcard && names_.empty()));
  wildcard_ = legacy_wildcard || std::erase(names, kWildcard) > 0;
  absl::flat_hash_set<std::string> now(names.begin(), names.end());
  bool changed = !was_begun || was_wildcard != wildcard_;
  for (const std::string& name : now) {
    if (names_.contains(name)) continue;
    changed = true;
    due_[name] = true;
  }
  changed = changed || now.size() != names_.size();
  names_ = std::move(now);
  if (!changed) return;
  drop_unwanted();
  if (wildcard_ && !was_wildcard) mark_all(view);
  must_respond_ = must_respond_ || is_whole();
}

void Subscription::change_names(DeltaChange change, const View& view) {
  const bool was_begun = std::exchange(begun_, true);
  const bool was_wildcard = wildcard_;
  if (!was_begun && change.subscribe.empty() && has_legacy_wildcard()) wildcard_ = true;
  if (std::erase(change.subscribe, kWildcard) > 0) wildcard_ = true;
  if (std::erase(change.unsubscribe, kWildcard) > 0) wildcard_ = false;
  for (std::string& name : change.subscribe) {
    due_[name] = true;
    names_.insert(std::move(name));
  }
  for (const std::string& name : change.unsubscribe) {
    names_.erase(name);
    if (wildcard_) {
      due_[name] = true;
    } else {
      forget(name);
    }
  }
  if (was_wildcard && !wildcard_) drop_unwanted();
  for (auto& [name, version] : change.initial) {
    if (!wants(name)) continue;
    ResourcePointer resource = view.find(type_, name);
    if (resource == nullptr || resource->version != version) {
      auto unknown = std::make_shared<snapshot::Resource>();
      unknown->type = type_;
      unknown->name = name;
      unknown->version = version;
      resource = std::move(unknown);
    }
    snapshot::put(std::move(resource), held_);
    // Named with its version, it is no question but a statement.
    due_[name] = false;
  }
  if (wildcard_ && !was_wildcard) {
    mark_all(view);
    must_respond_ = change.initial.empty();
  }
}

bool Subscription::mark(const std::string& name) {
  if (!begun_ || !(wants(name) || held_.contains(name))) return false;
  due_.try_emplace(name, false);
  return true;
}

void Subscription::mark_all(const View& view) {
  if (!begun_) return;
  for (const ResourcePointer& resource : held_) due_.try_emplace(resource->name, false);
  for (const std::string& name : names_) due_.try_emplace(name, false);
  if (!wildcard_) return;
  view.for_each_name(type_, [this](const std::string& name) { due_.try_emplace(name, false); });
}

void Subscription::mark_again(const std::string& name) {
  if (wants(name) && held_.contains(name)) due_[name] = true;
}

bool Subscription::is_refused(const std::string& name, const snapshot::Resource& resource) const {
  const auto refusal = refused_.find(name);
  return refusal != refused_.end() && refusal->second.version == resource.version;
}

std::optional<std::vector<Change>> Subscription::collect(const View& view, bool removals) {
  if (!begun_ || in_flight_.has_value()) return std::nullopt;
  while (!suspects_.empty()) {
    std::vector<Change> changes = changes_of(suspects_.back(), view, removals);
    suspects_.pop_back();
    if (!changes.empty()) return changes;
  }
  if (due_.empty() && !must_respond_) return std::nullopt;
  std::vector<std::string> names;
  names.reserve(due_.size());
  for (const auto& [name, must_answer] : due_) names.push_back(name);
  std::sort(names.begin(), names.end());
  std::vector<Change> changes = changes_of(names, view, removals);
  if (changes.empty() && !must_respond_) return std::nullopt;
  return changes;
}

std::vector<Change> Subscription::changes_of(const std::vector<std::string>& names, const View& view, bool removals) {
  std::vector<Change> changes;
  for (const std::string& name : names) {
    const auto due = due_.find(name);
    if (due == due_.end()) continue;
    const bool must_answer = due->second;
    const auto held = held_.find(name);
    const bool is_held = held != held_.end();
    ResourcePointer now = wants(name) ? view.find(type_, name) : nullptr;
    if (now == nullptr) {
      // Of what it refused a client keeps what it had before this stream, until a state lacks the name.
      const bool is_kept = is_whole() && refused_.contains(name);
      if (form_ == Form::kStateOfTheWorld && !is_whole()) {
        // This form has no words for it: such a resource goes with whatever named it.
        held_.erase(name);
        due_.erase(due);
      } else if ((is_held || is_kept) && !removals) {
        continue;
      } else if (is_held || (must_answer && form_ == Form::kDelta)) {
        changes.push_back({type_, name, nullptr});
      } else {
        must_respond_ = must_respond_ || is_kept;
        due_.erase(due);
      }
      refused_.erase(name);
      continue;
    }
    const bool is_new = !is_held || (*held)->version != now->version;
    if (is_refused(name, *now) || (!is_new && !must_answer)) {
      due_.erase(due);
      continue;
    }
    changes.push_back({type_, name, std::move(now)});
  }
  return changes;
}

std::vector<ResourcePointer> Subscription::send(std::vector<Change> changes, std::string nonce) {
  must_respond_ = false;
  for (const Change& change : changes) due_.erase(change.name);
  std::vector<ResourcePointer> resources;
  if (is_whole()) {
    absl::flat_hash_map<std::string_view, const Change*> changed;
    for (const Change& change : changes) changed[change.name] = &change;
    resources.reserve(held_.size() + changes.size());
    for (const ResourcePointer& resource : held_) {
      if (!changed.contains(resource->name)) resources.push_back(resource);
    }
  }
  for (const Change& change : changes) {
    if (change.resource != nullptr) resources.push_back(change.resource);
  }
  // The same state is the same bytes. Changes come by name already.
  if (is_whole()) {
    std::sort(resources.begin(), resources.end(),
              [](const ResourcePointer& a, const ResourcePointer& b) { return a->name < b->name; });
  }
  in_flight_ = InFlight{std::move(nonce), std::move(changes)};
  return resources;
}

bool Subscription::acknowledge(std::string_view nonce, const OnHeld& held) {
  if (!in_flight_.has_value() || in_flight_->nonce != nonce) return false;
  for (Change& change : in_flight_->changes) {
    if (held != nullptr) {
      const bool is_held = wants(change.name) && change.resource != nullptr;
      held(change.name, held_version(change.name), is_held ? change.resource->version : 0);
    }
    if (!wants(change.name) || change.resource == nullptr) {
      held_.erase(change.name);
      continue;
    }
    refused_.erase(change.name);
    snapshot::put(std::move(change.resource), held_);
  }
  in_flight_.reset();
  // A first sync makes these tables large, and thousands of proxies then hold nothing in them.
  if (due_.empty()) due_ = {};
  return true;
}

bool Subscription::refuse(std::string_view nonce, std::string_view reason, int64_t wall_ms) {
  if (!in_flight_.has_value() || in_flight_->nonce != nonce) return false;
  std::vector<Change> changes = std::move(in_flight_->changes);
  in_flight_.reset();
  std::vector<const Change*> candidates;
  std::vector<const Change*> refused;
  for (const Change& change : changes) {
    if (!wants(change.name)) continue;
    if (change.resource == nullptr) {
      // Nothing can be wrong with what is gone; it goes with the next response that is accepted. Perhaps it has gone
      // already: should it be there again before, it is sent whatever is held. And perhaps it is held although nobody
      // acknowledged it, from a response that was refused for another's sake.
      if (form_ == Form::kDelta || held_.contains(change.name)) due_[change.name] = true;
      continue;
    }
    candidates.push_back(&change);
    if (mentions(reason, change.name)) refused.push_back(&change);
  }
  if (refused.empty() && candidates.size() == 1) refused = candidates;
  for (const Change* change : refused) {
    refused_.insert_or_assign(change->name, Refusal{change->resource->version, std::string(reason), wall_ms});
  }
  // Whether the client took the others is not known: they are sent again, without what it refused.
  std::vector<std::string> again;
  for (const Change* change : candidates) {
    if (std::find(refused.begin(), refused.end(), change) != refused.end()) continue;
    due_[change->name] = true;
    again.push_back(change->name);
  }
  if (refused.empty() && !again.empty()) {
    const auto half = again.begin() + static_cast<std::ptrdiff_t>(again.size() / 2);
    suspects_.emplace_back(half, again.end());
    suspects_.emplace_back(again.begin(), half);
  }
  return true;
}

uint64_t Subscription::held_version(const std::string& name) const {
  const ResourcePointer held = snapshot::find(held_, name);
  return held == nullptr ? 0 : held->version;
}

}  // namespace weft::control::xds
