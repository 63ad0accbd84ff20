#include "control-plane/xds/progress.h"

#include <algorithm>
#include <utility>

namespace weft::control::xds {

namespace {

// A node that is further behind is no longer waited for.
constexpr size_t kMaxWaiting = 1024;

}  // namespace

Revision Progress::applied_revision() const {
  if (!is_started_) return 0;
  for (const Waiting& waiting : waiting_) {
    const Revision oldest = rollouts_.oldest_of(waiting.epoch);
    if (oldest != 0) return oldest - 1;
  }
  return rollouts_.newest_pushed();
}

bool Progress::runs(Type type, const std::string& name, const Stream& stream) const {
  if (source_ == Source::kAwaited) return false;
  const Applied::Difference* difference = tells_of(type) ? applied_.find(type, name) : nullptr;
  return difference == nullptr ? stream.subscription(type).holds(name) : difference->reported.version != 0;
}

void Progress::concern(Epoch epoch, bool is_late) {
  waiting_.push_back({epoch, false, {}});
  rollouts_.concern(epoch, id_, is_late);
  if (waiting_.size() <= kMaxWaiting) return;
  rollouts_.gone(waiting_.front().epoch, id_);
  waiting_.pop_front();
}

void Progress::on_held(Type type, const std::string& name, uint64_t before, uint64_t version, const Stream& stream) {
  if (tells_of(type)) applied_.on_acknowledged(type, name, before, version, stream.acknowledged(type));
}

void Progress::on_refused(Type type, const std::string& reason, const Stream& stream) {
  const Stream::Pushes refused = stream.last_refused(type);
  for (Waiting& waiting : waiting_) {
    if (waiting.epoch > refused.after && waiting.epoch <= refused.until) waiting.refusal = reason;
  }
}

void Progress::await_report() {
  source_ = Source::kAwaited;
  types_.clear();
  applied_.clear();
  told_.reset();
}

void Progress::begin_report(std::set<Type> types) {
  await_report();
  types_ = std::move(types);
  told_ = std::make_unique<Told>();
}

void Progress::on_report(Type type, const std::string& name, Reported reported, const Stream& stream) {
  if (told_ == nullptr && !tells_of(type)) return;
  if (told_ != nullptr) {
    told_->insert_or_assign({type, name}, std::move(reported));
    return;
  }
  const uint64_t held = stream.subscription(type).held_version(name);
  if (held != 0 && reported.refused.has_value() && reported.refused->version == held) {
    // It acknowledged this one, and found out later that it cannot run it.
    for (Waiting& waiting : waiting_) waiting.refusal = reported.refused->reason;
  }
  applied_.on_report(type, name, std::move(reported), held);
}

void Progress::complete_report(const Stream& stream) {
  if (told_ == nullptr) return;
  source_ = Source::kReport;
  const std::unique_ptr<Told> told = std::exchange(told_, nullptr);
  for (const Type type : types_) {
    stream.subscription(type).for_each_held([&](const std::string& name, const snapshot::Resource& held) {
      if (told->contains({type, name})) return;
      applied_.on_acknowledged(type, name, 0, held.version, 0);
    });
  }
  for (auto& [key, reported] : *told) {
    const uint64_t held = stream.subscription(key.first).held_version(key.second);
    if (held != 0) applied_.on_acknowledged(key.first, key.second, 0, held, 0);
    applied_.on_report(key.first, key.second, std::move(reported), held);
  }
}

Epoch Progress::applied_through(const Stream& stream, Epoch acknowledged) {
  if (source_ == Source::kAcknowledgement) return acknowledged;
  if (source_ == Source::kAwaited) return 0;
  const Epoch through = applied_.through(acknowledged);
  if (through == acknowledged) return through;
  // What it has unsubscribed from it need not run.
  applied_.forget_unless([&](Type type, const std::string& name) { return stream.subscription(type).wants(name); });
  return applied_.through(acknowledged);
}

void Progress::advance(const Stream& stream, int64_t now_ms) {
  const Epoch acknowledged = stream.acknowledged();
  const Epoch applied = applied_through(stream, acknowledged);
  if (!is_started_) {
    if (!stream.is_settled() || applied != acknowledged || source_ == Source::kAwaited) return;
    is_started_ = true;
    rollouts_.end_load(id_);
  }
  for (Waiting& waiting : waiting_) {
    if (waiting.epoch > acknowledged) break;
    if (!std::exchange(waiting.is_acknowledged, true)) rollouts_.acknowledged(waiting.epoch, id_, now_ms);
  }
  while (!waiting_.empty() && waiting_.front().epoch <= applied) {
    Verdict verdict{id_, node_, std::move(waiting_.front().refusal), source_ == Source::kAcknowledgement};
    rollouts_.ended(waiting_.front().epoch, std::move(verdict), now_ms);
    waiting_.pop_front();
  }
}

std::vector<Epoch> Progress::close() {
  std::vector<Epoch> owed;
  for (const Waiting& waiting : waiting_) {
    rollouts_.gone(waiting.epoch, id_);
    owed.push_back(waiting.epoch);
  }
  waiting_.clear();
  rollouts_.end_load(id_);
  return owed;
}

}  // namespace weft::control::xds
