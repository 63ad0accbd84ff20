#include "control-plane/server/mtls_steps.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace weft::control::server {

namespace {

using registry::Endpoint;
using registry::Endpoints;
using registry::MtlsMode;
using registry::ServiceName;

// Sorted by address and port. Null if there is none.
const Endpoint* find(const std::vector<Endpoint>& endpoints, const Endpoint& like) {
  const auto place = [](const Endpoint& each) { return std::tie(each.address, each.port); };
  const auto found = std::lower_bound(endpoints.begin(), endpoints.end(), like,
                                      [&](const Endpoint& a, const Endpoint& b) { return place(a) < place(b); });
  return found == endpoints.end() || place(*found) != place(like) ? nullptr : &*found;
}

}  // namespace

void MtlsSteps::begin(const ServiceName& service, const registry::ModelPointer& before, int64_t now_ms) {
  const auto [change, is_new] = changes_.try_emplace(service);
  if (is_new) change->second.before = before;
  const bool was_told = std::exchange(change->second.is_told, false);
  const bool was_run = std::exchange(change->second.is_run_by_all, false);
  if (is_new || was_told || was_run) change->second.due_ms = now_ms + step_ms_;
  change->second.epoch.reset();
}

std::vector<ServiceName> MtlsSteps::holding() const {
  std::vector<ServiceName> services;
  for (const auto& [service, change] : changes_) {
    if (!change.is_told) services.push_back(service);
  }
  return services;
}

MtlsMode MtlsSteps::mode_of(const ServiceName& service, uint16_t app_port, const registry::Model& model) {
  const auto mode_in = [&](const registry::Model& which) {
    return which.mtls_mode(service.namespace_name, service.name, app_port);
  };
  const MtlsMode mode = mode_in(model);
  if (mode == MtlsMode::kDisable && returned_ms_.has_value()) return MtlsMode::kPermissive;
  const auto found = changes_.find(service);
  if (found == changes_.end()) return mode;
  Change& change = found->second;
  if (mode != mode_in(*change.before)) change.ports.insert(app_port);
  return change.ports.contains(app_port) ? MtlsMode::kPermissive : mode;
}

void MtlsSteps::pushed(xds::Epoch epoch) {
  for (auto& [service, change] : changes_) {
    if (!change.epoch.has_value()) change.epoch = epoch;
  }
}

std::vector<MtlsSteps::Over> MtlsSteps::take_over(int64_t now_ms, const xds::Rollouts& rollouts, const Owes& owes) {
  std::vector<Over> over;
  for (auto& [service, change] : changes_) {
    if (!change.epoch.has_value()) continue;
    if (!change.is_run_by_all && rollouts.is_over(*change.epoch)) {
      change.is_run_by_all = true;
      change.due_ms = std::min(change.due_ms, now_ms + settle_ms_);
    }
    if (now_ms < change.due_ms || owes(service)) continue;
    over.push_back({service, change.is_told});
    change.is_told = true;
    change.is_run_by_all = false;
    change.due_ms = now_ms + step_ms_;
    change.epoch.reset();
  }
  for (const Over& each : over) {
    if (each.is_done) changes_.erase(each.service);
  }
  return over;
}

bool MtlsSteps::take_returned(int64_t now_ms) {
  if (!returned_ms_.has_value() || now_ms < *returned_ms_) return false;
  returned_ms_.reset();
  return true;
}

std::optional<int64_t> MtlsSteps::due_ms(const Owes& owes) const {
  std::optional<int64_t> due_ms = returned_ms_;
  for (const auto& [service, change] : changes_) {
    if (change.due_ms < due_ms.value_or(INT64_MAX) && !owes(service)) due_ms = change.due_ms;
  }
  return due_ms;
}

bool is_called_otherwise(const Endpoints& before, const Endpoints& after) {
  for (const Endpoints::Port& port : after.ports) {
    for (const Endpoint& each : port.endpoints) {
      const Endpoint* was = find(before.of(port.service_port), each);
      if (was != nullptr && was->mtls != each.mtls) return true;
    }
  }
  return false;
}

std::shared_ptr<const Endpoints> called_as_before(const Endpoints& before, const Endpoints& after) {
  auto out = std::make_shared<Endpoints>(after);
  for (Endpoints::Port& port : out->ports) {
    for (Endpoint& each : port.endpoints) {
      if (const Endpoint* was = find(before.of(port.service_port), each)) each.mtls = was->mtls;
    }
  }
  return out;
}

}  // namespace weft::control::server
