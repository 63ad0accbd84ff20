#include "control-plane/xds/rollouts.h"

#include <algorithm>
#include <utility>

namespace weft::control::xds {

namespace {

// How many commits are remembered; of an older one nothing is known any more.
constexpr size_t kMaxCommits = 4096;

}  // namespace

void Rollouts::on_commit(Revision revision, int64_t now_ms) {
  if (!commits_.try_emplace(revision, Commit{.committed_ms = now_ms}).second) return;
  forget_old();
}

Epoch Rollouts::begin_push(const Brought& brought) {
  ++epoch_;
  Push push;
  for (const Revision revision : brought.touched) {
    const auto commit = commits_.find(revision);
    if (commit == commits_.end()) continue;
    commit->second.pushes.push_back(epoch_);
    const bool is_oldest = push.revisions.empty() || commit->second.committed_ms < push.committed_ms;
    if (is_oldest) push.committed_ms = commit->second.committed_ms;
    push.revisions.push_back(revision);
  }
  for (const Revision revision : brought.finished) {
    newest_pushed_ = std::max(newest_pushed_, revision);
    const auto commit = commits_.find(revision);
    if (commit == commits_.end()) continue;
    commit->second.pushed = true;
    if (!watches_.empty()) changed_.insert(revision);
  }
  if (!push.revisions.empty()) pushes_.emplace(epoch_, std::move(push));
  return epoch_;
}

void Rollouts::settle(Epoch epoch) {
  const auto owed = owed_.find(epoch);
  if (owed != owed_.end() && --owed->second == 0) owed_.erase(owed);
}

void Rollouts::concern(Epoch epoch, SessionId session, bool is_late) {
  ++owed_[epoch];
  const auto push = pushes_.find(epoch);
  if (push == pushes_.end()) return;
  if (!push->second.pending.try_emplace(session, Member{.is_late = is_late}).second) return;
  ++push->second.concerned;
  changed(push->second);
}

void Rollouts::acknowledged(Epoch epoch, SessionId session, int64_t now_ms) {
  const auto push = pushes_.find(epoch);
  if (push == pushes_.end()) return;
  const auto member = push->second.pending.find(session);
  if (member == push->second.pending.end() || std::exchange(member->second.is_acknowledged, true)) return;
  ++push->second.acknowledged;
  if (!member->second.is_late) to_acknowledged_.add(now_ms - push->second.committed_ms);
  changed(push->second);
}

void Rollouts::ended(Epoch epoch, Verdict verdict, int64_t now_ms) {
  settle(epoch);
  const auto found = pushes_.find(epoch);
  if (found == pushes_.end()) return;
  Push& push = found->second;
  const auto member = push.pending.find(verdict.session);
  if (member == push.pending.end()) return;
  if (verdict.refusal.empty()) {
    ++push.applied;
    if (verdict.is_acknowledged_only) ++push.acknowledged_only;
    if (!member->second.is_late) to_applied_.add(now_ms - push.committed_ms);
  } else {
    ++push.refused;
    if (push.refusals.size() < Rollout::kMaxTold) push.refusals.push_back(std::move(verdict));
  }
  push.pending.erase(member);
  changed(push);
}

void Rollouts::gone(Epoch epoch, SessionId session) {
  settle(epoch);
  const auto push = pushes_.find(epoch);
  if (push == pushes_.end()) return;
  const auto member = push->second.pending.find(session);
  if (member == push->second.pending.end()) return;
  if (member->second.is_acknowledged) --push->second.acknowledged;
  --push->second.concerned;
  push->second.pending.erase(member);
  changed(push->second);
}

void Rollouts::end_load(SessionId session) {
  if (loading_.erase(session) == 0) return;
  back_.erase(session);
  for (const auto& [id, watch] : watches_) changed_.insert(watch.revision);
}

void Rollouts::came_back(SessionId session) {
  if (loading_.contains(session)) back_.insert(session);
}

Revision Rollouts::oldest_of(Epoch epoch) const {
  const auto push = pushes_.find(epoch);
  if (push == pushes_.end()) return 0;
  return *std::min_element(push->second.revisions.begin(), push->second.revisions.end());
}

Rollout Rollouts::of(Revision revision) const {
  Rollout out;
  out.revision = revision;
  const auto commit = commits_.find(revision);
  out.pushed = commit == commits_.end() || commit->second.pushed;
  if (commit == commits_.end()) return out;
  for (const Epoch epoch : commit->second.pushes) {
    const Push& push = pushes_.at(epoch);
    out.concerned += push.concerned;
    out.acknowledged += push.acknowledged;
    out.applied += push.applied;
    out.acknowledged_only += push.acknowledged_only;
    out.refused += push.refused;
    for (const Verdict& verdict : push.refusals) {
      if (out.refusals.size() < Rollout::kMaxTold) out.refusals.push_back(verdict);
    }
    for (const auto& [session, member] : push.pending) {
      if (out.pending.size() < Rollout::kMaxTold) out.pending.push_back({session, epoch});
    }
  }
  add_loading(commit->second, out);
  return out;
}

// Those that owe one of its pushes as such are in it already.
void Rollouts::add_loading(const Commit& commit, Rollout& out) const {
  if (commit.pushes.empty()) return;
  for (const auto& [session, newest] : loading_) {
    if (newest < commit.pushes.front()) continue;
    const bool is_in = std::any_of(commit.pushes.begin(), commit.pushes.end(),
                                   [&](Epoch epoch) { return pushes_.at(epoch).pending.contains(session); });
    if (is_in) continue;
    ++out.concerned;
    if (out.pending.size() < Rollout::kMaxTold) out.pending.push_back({session, newest});
  }
}

uint64_t Rollouts::watch(Revision revision, std::function<void()> told) {
  watches_.emplace(++last_watch_, Watch{revision, std::move(told)});
  return last_watch_;
}

void Rollouts::unwatch(uint64_t watch) {
  watches_.erase(watch);
  if (watches_.empty()) changed_.clear();
}

void Rollouts::tell() {
  if (changed_.empty()) return;
  const absl::flat_hash_set<Revision> changed = std::exchange(changed_, {});
  for (const auto& [id, watch] : watches_) {
    if (changed.contains(watch.revision)) watch.told();
  }
}

size_t Rollouts::open_count() const {
  absl::flat_hash_set<Revision> open;
  for (const auto& [epoch, push] : pushes_) {
    if (!push.pending.empty()) open.insert(push.revisions.begin(), push.revisions.end());
  }
  return open.size();
}

void Rollouts::changed(const Push& push) {
  if (!watches_.empty()) changed_.insert(push.revisions.begin(), push.revisions.end());
}

void Rollouts::forget_old() {
  while (commits_.size() > kMaxCommits) {
    const auto oldest = commits_.begin();
    for (const Epoch epoch : oldest->second.pushes) {
      const auto push = pushes_.find(epoch);
      std::erase(push->second.revisions, oldest->first);
      if (push->second.revisions.empty()) pushes_.erase(push);
    }
    commits_.erase(oldest);
  }
}

}  // namespace weft::control::xds
