#include "control-plane/server/mtls_steps.h"

#include <algorithm>
#include <utility>

namespace weft::control::server {

using registry::MtlsMode;
using registry::ServiceName;

const CallState& MtlsSteps::state_of(const ServiceName& service) const {
  static const CallState kInitial;
  const auto found = states_.find(service);
  return found == states_.end() ? kInitial : found->second;
}

void MtlsSteps::set_state(const ServiceName& service, CallState state) {
  if (state == CallState()) {
    states_.erase(service);
  } else {
    states_.insert_or_assign(service, std::move(state));
  }
}

uint64_t MtlsSteps::keep(const ServiceName& service, CallState state) {
  to_keep_.push_back({service, std::move(state)});
  return taken_ + 1;
}

void MtlsSteps::enter(Stage stage, int64_t now_ms, Change& change) const {
  change.stage = stage;
  change.due_ms = now_ms + step_ms_;
  change.is_run_by_all = false;
  change.epoch.reset();
}

bool MtlsSteps::want(const ServiceName& service, const Ports& plain, int64_t now_ms) {
  const CallState& known = state_of(service);
  const auto found = changes_.find(service);
  if (found == changes_.end()) {
    if (known == CallState{.plain = plain, .mixed = {}}) return false;
    Change change{.wanted = plain, .called = known.plain};
    enter(Stage::kHolding, now_ms, change);
    changes_.emplace(service, std::move(change));
    return true;
  }
  Change& change = found->second;
  if (change.wanted == plain) return true;
  change.wanted = plain;
  // Seen to when it is kept what all callers do now.
  if (change.stage == Stage::kSettling) return true;
  // Taken back before anybody was told.
  if (known == CallState{.plain = plain, .mixed = {}}) {
    changes_.erase(found);
    return false;
  }
  if (change.stage != Stage::kHolding || change.is_run_by_all) {
    enter(Stage::kHolding, now_ms, change);
  } else {
    change.epoch.reset();
  }
  return true;
}

void MtlsSteps::forget(const ServiceName& service) {
  changes_.erase(service);
  if (states_.erase(service) != 0) keep(service, {});
}

std::vector<std::pair<ServiceName, Ports>> MtlsSteps::called() const {
  std::vector<std::pair<ServiceName, Ports>> out;
  for (const auto& [service, change] : changes_) out.emplace_back(service, change.called);
  return out;
}

MtlsMode MtlsSteps::mode_of(const ServiceName& service, uint16_t app_port, MtlsMode mode) const {
  if (mode == MtlsMode::kPermissive) return mode;
  if (mode == MtlsMode::kDisable && returned_ms_.has_value()) return MtlsMode::kPermissive;
  const CallState& state = state_of(service);
  const bool is_sent = state.plain.contains(app_port) == (mode == MtlsMode::kDisable);
  return is_sent && !state.mixed.contains(app_port) ? mode : MtlsMode::kPermissive;
}

void MtlsSteps::pushed(xds::Epoch epoch) {
  for (auto& [service, change] : changes_) {
    if (!change.epoch.has_value()) change.epoch = epoch;
  }
}

bool MtlsSteps::is_run(int64_t now_ms, const xds::Rollouts& rollouts, Change& change) const {
  if (!change.epoch.has_value()) return false;
  if (!change.is_run_by_all && rollouts.is_over(*change.epoch)) {
    change.is_run_by_all = true;
    change.due_ms = std::min(change.due_ms, now_ms + settle_ms_);
  }
  return now_ms >= change.due_ms;
}

// What comes after it waits for the disk.
void MtlsSteps::end_step(const ServiceName& service, Change& change) {
  if (change.stage == Stage::kTold) {
    change.stage = Stage::kSettling;
    change.ticket = keep(service, {.plain = change.called, .mixed = {}});
    return;
  }
  change.stage = Stage::kPreparing;
  CallState state = state_of(service);
  Ports mixed = either(state.mixed, difference(state.plain, change.wanted));
  if (mixed == state.mixed) return;
  state.mixed = std::move(mixed);
  change.ticket = keep(service, state);
  set_state(service, std::move(state));
}

std::vector<MtlsSteps::Over> MtlsSteps::take_over(int64_t now_ms, const xds::Rollouts& rollouts, const Owes& owes) {
  std::vector<Over> over;
  if (returned_ms_.has_value()) return over;
  for (auto each = changes_.begin(); each != changes_.end();) {
    const auto& service = each->first;
    Change& change = each->second;
    const auto current = each++;
    const bool is_step = change.stage == Stage::kHolding || change.stage == Stage::kTold;
    if (owes(service) || (is_step && !is_run(now_ms, rollouts, change))) continue;
    if (is_step) end_step(service, change);
    if (kept_ < change.ticket) continue;
    const bool is_done = change.stage == Stage::kSettling;
    over.push_back({service, is_done});
    if (!is_done) {
      change.called = change.wanted;
      enter(Stage::kTold, now_ms, change);
      continue;
    }
    set_state(service, {.plain = change.called, .mixed = {}});
    if (change.wanted == change.called) {
      changes_.erase(current);
    } else {
      enter(Stage::kHolding, now_ms, change);
    }
  }
  return over;
}

bool MtlsSteps::take_returned(int64_t now_ms) {
  if (!returned_ms_.has_value() || now_ms < *returned_ms_) return false;
  returned_ms_.reset();
  // Who came back last may still have to apply what it was given.
  for (auto& [service, change] : changes_) change.due_ms = now_ms + step_ms_;
  return true;
}

std::optional<int64_t> MtlsSteps::due_ms(const Owes& owes) const {
  if (returned_ms_.has_value()) return returned_ms_;
  std::optional<int64_t> due_ms;
  for (const auto& [service, change] : changes_) {
    // Those that wait for the disk are seen to when it has been written.
    const bool is_step = change.stage == Stage::kHolding || change.stage == Stage::kTold;
    if (is_step && change.due_ms < due_ms.value_or(INT64_MAX) && !owes(service)) due_ms = change.due_ms;
  }
  return due_ms;
}

std::optional<MtlsSteps::ToKeep> MtlsSteps::take_to_keep() {
  if (to_keep_.empty()) return std::nullopt;
  return ToKeep{.ticket = ++taken_, .changes = std::exchange(to_keep_, {})};
}

}  // namespace weft::control::server
