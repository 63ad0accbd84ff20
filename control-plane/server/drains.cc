#include "control-plane/server/drains.h"

#include <algorithm>
#include <utility>

namespace weft::control::server {

void Drains::begin(const snapshot::View& view, std::optional<registry::WorkloadName> name) {
  const auto [drain, is_new] = drains_.try_emplace(&view);
  if (is_new) {
    drain->second.state = name.has_value() ? State::kOnItsWay : State::kPushed;
    drain->second.name = std::move(name);
  } else if (drain->second.state == State::kTold) {
    drain->second.state = State::kPushed;
  }
}

void Drains::forget(const snapshot::View& view) { drains_.erase(&view); }

void Drains::on_model(const std::vector<registry::WorkloadName>& draining) {
  for (auto& [view, drain] : drains_) {
    const bool is_meant =
        drain.name.has_value() && std::find(draining.begin(), draining.end(), *drain.name) != draining.end();
    if (is_meant && drain.state == State::kOnItsWay) drain.state = State::kInModel;
  }
}

std::vector<const snapshot::View*> Drains::take_over(const Mesh& mesh, const xds::Rollouts& rollouts) {
  std::vector<const snapshot::View*> over;
  for (auto& [view, drain] : drains_) {
    if (drain.state == State::kInModel) {
      const registry::ServiceName service{.namespace_name = drain.name->namespace_name, .name = drain.name->service};
      if (mesh.owes_endpoints_of(service)) continue;
      drain.state = State::kPushed;
      drain.epoch = rollouts.epoch();
    }
    if (drain.state != State::kPushed || !rollouts.is_over(drain.epoch)) continue;
    drain.state = State::kTold;
    over.push_back(view);
  }
  return over;
}

}  // namespace weft::control::server
