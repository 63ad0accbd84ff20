#include "control-plane/registry/workloads.h"

#include <utility>

namespace weft::control::registry {

namespace {

constexpr size_t kMaxReasonBytes = 256;
constexpr char kNotChecked[] = "its application has not been checked yet";

}  // namespace

Workload* Workloads::find(const WorkloadName& name) {
  const auto found = workloads_.find(name);
  return found == workloads_.end() ? nullptr : &found->second;
}

void Workloads::restore(const std::vector<Workload>& workloads, int64_t now_ms) {
  for (const Workload& each : workloads) {
    Workload& workload = workloads_.insert_or_assign(each.name, each).first->second;
    workload.away = true;
    grace_.emplace(now_ms + grace_ms_, each.name);
    grace_ends_ms_[each.name] = now_ms + grace_ms_;
    changed_.insert(each.name);
  }
}

void Workloads::connected(const Workload& said, bool is_checked) {
  const WorkloadName& name = said.name;
  Workload fresh{.name = name,
                 .labels = said.labels,
                 .address = said.address,
                 .port = said.port,
                 .app_port = said.app_port,
                 .takes_all_ports = said.takes_all_ports,
                 .mtls = said.mtls};
  fresh.healthy = !is_checked;
  if (is_checked) fresh.reason = kNotChecked;
  Workload& workload = workloads_.try_emplace(name, fresh).first->second;
  // Another process, which has yet to show that it serves.
  const bool is_another = workload.draining || workload.address != said.address || workload.port != said.port ||
                          workload.app_port != said.app_port || workload.takes_all_ports != said.takes_all_ports ||
                          workload.mtls != said.mtls || (!is_checked && !workload.healthy);
  if (is_another) workload = fresh;
  workload.labels = said.labels;
  workload.away = false;
  ++streams_[name];
  if (const auto ends = grace_ends_ms_.find(name); ends != grace_ends_ms_.end()) {
    grace_.erase({ends->second, name});
    grace_ends_ms_.erase(ends);
  }
  changed_.insert(name);
}

void Workloads::disconnected(const WorkloadName& name, int64_t now_ms) {
  const auto streams = streams_.find(name);
  if (streams == streams_.end() || --streams->second > 0) return;
  streams_.erase(streams);
  Workload& workload = workloads_.at(name);
  const bool is_missed = workload.listening && !workload.draining;
  if (!is_missed || grace_ms_ == 0) return remove(name);
  workload.away = true;
  grace_.emplace(now_ms + grace_ms_, name);
  grace_ends_ms_[name] = now_ms + grace_ms_;
  changed_.insert(name);
}

void Workloads::set_listening(const WorkloadName& name) {
  Workload* workload = find(name);
  if (workload == nullptr || std::exchange(workload->listening, true)) return;
  changed_.insert(name);
}

void Workloads::set_health(const WorkloadName& name, bool healthy, const std::string& reason) {
  Workload* workload = find(name);
  if (workload == nullptr) return;
  const std::string words = healthy ? "" : reason.substr(0, kMaxReasonBytes);
  if (workload->healthy == healthy && workload->reason == words) return;
  workload->healthy = healthy;
  workload->reason = words;
  changed_.insert(name);
}

void Workloads::set_draining(const WorkloadName& name) {
  Workload* workload = find(name);
  if (workload == nullptr || std::exchange(workload->draining, true)) return;
  changed_.insert(name);
}

std::optional<int64_t> Workloads::due_ms() const {
  if (grace_.empty()) return std::nullopt;
  return grace_.begin()->first;
}

void Workloads::advance(int64_t now_ms) {
  while (!grace_.empty() && grace_.begin()->first <= now_ms) {
    const WorkloadName name = grace_.begin()->second;
    remove(name);
  }
}

void Workloads::remove(const WorkloadName& name) {
  if (const auto ends = grace_ends_ms_.find(name); ends != grace_ends_ms_.end()) {
    grace_.erase({ends->second, name});
    grace_ends_ms_.erase(ends);
  }
  workloads_.erase(name);
  changed_.insert(name);
}

std::vector<WorkloadChange> Workloads::take_changes() {
  std::vector<WorkloadChange> changes;
  changes.reserve(changed_.size());
  for (const WorkloadName& name : changed_) {
    const Workload* workload = find(name);
    changes.push_back({name, workload == nullptr ? std::nullopt : std::optional(*workload)});
  }
  changed_.clear();
  return changes;
}

std::string state_of(const Workload& workload, bool is_attached) {
  if (!is_attached) return "unattached";
  if (workload.draining) return "draining";
  if (!workload.healthy) return "unhealthy: " + workload.reason;
  if (!workload.listening) return "starting";
  return workload.away ? "ready, but away" : "ready";
}

}  // namespace weft::control::registry
