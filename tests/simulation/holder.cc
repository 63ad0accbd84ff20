#include "tests/simulation/holder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/hash.h"
#include "proxy/config/xds/type.h"

namespace weft::simulation {

using config::xds::Refusal;
using config::xds::Update;

Holder::Holder(World& world, References& references, Options options, Subscribe subscribe)
    : world_(world), known_references_(references), options_(std::move(options)), subscribe_(std::move(subscribe)) {
  if (!options_.real_clusters) return;
  applied_ = std::make_unique<Applied>(
      world_, [this](std::set<std::string> names) { want(Type::kEndpoints, std::move(names)); });
}

Holder::~Holder() = default;

void Holder::start() {
  if (wants_all()) {
    subscribe_(Type::kCluster, {});
    subscribe_(Type::kListener, {});
  } else {
    want(Type::kListener, {options_.listeners.begin(), options_.listeners.end()});
  }
}

bool Holder::refuses(const std::string& name, uint64_t version) const {
  return options_.refused_per_mille != 0 &&
         base::xxhash64(name, options_.salt ^ version) % 1000 < options_.refused_per_mille;
}

std::vector<Refusal> Holder::on_update(Type type, const Update& update) {
  std::vector<Refusal> refusals;
  Update taken = update;
  taken.changed.clear();
  std::set<std::string> present;
  for (const config::xds::Resource& resource : update.changed) {
    present.insert(resource.name);
    if (refuses(resource.name, version_of(resource.body))) {
      refusals.push_back({resource.name, "this proxy does not like it"});
      stale_[index(type)].insert(resource.name);
    } else {
      taken.changed.push_back(resource);
      const bool was_refused = stale_[index(type)].erase(resource.name) != 0;
      if (was_refused && type == Type::kCluster) late_.insert(resource.name);
    }
  }
  if (update.whole) {
    // What is refused stays as it was; what is not there goes.
    taken.whole = refusals.empty();
    for (const auto& [name, version] : held(type)) {
      if (!present.contains(name)) taken.removed.push_back(name);
    }
  }
  if (applied_ != nullptr) {
    for (const Refusal& refusal : applied_->give(type, taken))
      world_.fail(
          absl::StrCat(options_.name, " refuses what the control plane made, ", refusal.name, ": ", refusal.reason));
  }
  take(type, taken);
  // What was kept for the routes of a new stream, which then broke without a sign, has gone. And who does not say what
  // it refuses is told whole states that lack now this, now that, until it is found.
  const bool is_searched = options_.vague && options_.refused_per_mille != 0;
  if (type == Type::kCluster && (world_.by_timer() || is_searched))
    late_.insert(taken.removed.begin(), taken.removed.end());
  find_wants();
  find_ready();
  check(type);
  return refusals;
}

void Holder::take(Type type, const Update& update) {
  for (const config::xds::Resource& resource : update.changed) {
    const uint64_t version = version_of(resource.body);
    held_[index(type)][resource.name] = version;
    names_[index(type)][resource.name] = &known_references_.of(type, version, resource.body);
    if (type == Type::kEndpoints) timed_out_.erase(resource.name);
  }
  for (const std::string& name : update.removed) drop(type, name);
}

void Holder::drop(Type type, const std::string& name) {
  held_[index(type)].erase(name);
  names_[index(type)].erase(name);
  const bool was_refused = stale_[index(type)].erase(name) != 0;
  // A cluster's endpoints have its name.
  if (was_refused && (type == Type::kCluster || type == Type::kEndpoints)) late_.insert(name);
  if (type == Type::kEndpoints) timed_out_.erase(name);
  if (type == Type::kCluster) ready_.erase(name);
}

void Holder::find_ready() {
  for (const auto& [name, services] : names_[index(Type::kCluster)]) {
    const bool is_ready = std::all_of(services->begin(), services->end(), [&](const std::string& service) {
      return held(Type::kEndpoints).contains(service) || timed_out_.contains(service);
    });
    if (!is_ready) continue;
    ready_.insert(name);
    late_.erase(name);
  }
}

void Holder::on_fetch_timeout(Type type, const std::vector<std::string>& names) {
  if (type != Type::kEndpoints) return;
  timed_out_.insert(names.begin(), names.end());
  if (applied_ != nullptr) applied_->give_up(type, names);
  find_ready();
}

void Holder::find_wants() {
  const auto named_by = [&](Type type) {
    std::set<std::string> names;
    for (const auto& [name, references] : names_[index(type)]) names.insert(references->begin(), references->end());
    return names;
  };
  want(Type::kRoutes, named_by(Type::kListener));
  if (!wants_all()) want(Type::kCluster, named_by(Type::kRoutes));
  if (applied_ == nullptr) want(Type::kEndpoints, named_by(Type::kCluster));
}

void Holder::want(Type type, std::set<std::string> names) {
  std::set<std::string>& wanted = wanted_[index(type)];
  // No names of clusters would mean all of them.
  if (wanted == names || (names.empty() && type == Type::kCluster)) return;
  wanted = std::move(names);
  std::vector<std::string> dropped;
  for (const auto& [name, version] : held(type)) {
    if (!wanted.contains(name)) dropped.push_back(name);
  }
  for (const std::string& name : dropped) drop(type, name);
  subscribe_(type, {wanted.begin(), wanted.end()});
}

// Of what this proxy refused, or what leads there, it knows less than it was told.
bool Holder::is_excused(Type type, const std::string& name) const { return stale_[index(type)].contains(name); }

void Holder::check(Type updated) {
  if (!wants_all() || !options_.aggregated) return;
  const std::string after = absl::StrCat(", after an update of ", std::string(config::xds::type_info(updated).noun));
  for (const auto& [name, clusters] : names_[index(Type::kRoutes)]) {
    if (is_excused(Type::kRoutes, name)) continue;
    for (const std::string& cluster : *clusters) {
      if (ready_.contains(cluster) || late_.contains(cluster) || is_excused(Type::kCluster, cluster)) continue;
      const auto services = names_[index(Type::kCluster)].find(cluster);
      if (services == names_[index(Type::kCluster)].end()) {
        world_.fail(
            absl::StrCat(options_.name, " holds the route ", name, " to cluster ", cluster, ", which it lacks", after));
        continue;
      }
      const bool refused = std::any_of(services->second->begin(), services->second->end(),
                                       [&](const auto& service) { return is_excused(Type::kEndpoints, service); });
      if (!refused)
        world_.fail(absl::StrCat(options_.name, " holds the route ", name, " to cluster ", cluster,
                                 ", whose endpoints it lacks", after));
    }
  }
}

uint64_t Holder::fingerprint() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < held_.size(); ++i) {
    for (const auto& [name, version] : held_[i]) sum = base::xxhash64(name, sum ^ version ^ i);
  }
  return sum;
}

}  // namespace weft::simulation
