#include "tests/simulation/applied.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/references.h"

namespace weft::simulation {

namespace xds = config::xds;

namespace {

constexpr char kClusterSource[] = "ads";

}  // namespace

struct Applied::Source final : xds::Source {
  Source(Applied& owner, xds::Type type, xds::Consumer& consumer) : owner(owner), type(type) {
    owner.consumers_[static_cast<size_t>(type)] = &consumer;
  }
  ~Source() override {
    owner.consumers_[static_cast<size_t>(type)] = nullptr;
    if (!owner.ending_) subscribe(type, {});
  }
  void subscribe(xds::Type, std::vector<std::string> names) override {
    // Of clusters all are wanted from the start.
    if (type != xds::Type::kEndpoints) return;
    owner.want_endpoints_({std::make_move_iterator(names.begin()), std::make_move_iterator(names.end())});
  }
  bool connected() const override { return true; }

  Applied& owner;
  const xds::Type type;
};

Applied::Applied(World& world, std::function<void(std::set<std::string> names)> want_endpoints)
    : want_endpoints_(std::move(want_endpoints)),
      random_(1),
      sources_(world.loop(), *this,
               [this](const std::string&, xds::Type type, xds::Consumer& consumer) {
                 return std::make_unique<Source>(*this, type, consumer);
               }),
      secrets_(parts_, world.loop(), sources_, {}),
      clusters_(parts_,
                {world.loop(), random_,
                 [](const cluster::ClusterPolicy&) -> absl::StatusOr<cluster::DnsResolver*> {
                   return absl::UnavailableError("nothing is resolved in a simulation");
                 }},
                sources_, secrets_, *this) {
  parts_.bootstrap.mutable_dynamic_resources()->mutable_ads_config();
  parts_.options.workers = 1;
  clusters_.start([] {});
  sources_.want_all(kClusterSource, xds::Type::kCluster);
}

Applied::~Applied() {
  ending_ = true;
  sources_.stop();
}

std::vector<xds::Refusal> Applied::give(xds::Type type, const xds::Update& update) {
  xds::Consumer* const consumer = consumers_[static_cast<size_t>(type)];
  return consumer == nullptr ? std::vector<xds::Refusal>() : consumer->on_update(type, update);
}

void Applied::give_up(xds::Type type, const std::vector<std::string>& names) {
  if (xds::Consumer* const consumer = consumers_[static_cast<size_t>(type)]) consumer->on_fetch_timeout(type, names);
}

std::vector<xds::Refusal> Applied::on_update(const std::string& source, xds::Type type, const xds::Update& update) {
  return type == xds::Type::kCluster ? clusters_.on_clusters(source, update) : clusters_.on_endpoints(source, update);
}

void Applied::on_fetch_timeout(const std::string& source, xds::Type, const std::vector<std::string>& names) {
  clusters_.on_endpoints_timeout(source, names);
}

void Applied::assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) {
  if (cluster == nullptr) {
    running_.erase(slot->name());
  } else {
    running_[slot->name()] = std::move(cluster);
  }
}

void Applied::drop_lost_hosts(const cluster::ClusterSlotPtr&) {}

std::string Applied::difference(const std::map<std::string, uint64_t>& clusters,
                                const std::map<std::string, uint64_t>& endpoints) const {
  for (const auto& [name, version] : clusters) {
    const auto entry = clusters_.entries().find(name);
    if (entry == clusters_.entries().end()) return absl::StrCat("cluster ", name, " is held and not there");
    if (entry->second.warming != nullptr) return absl::StrCat("cluster ", name, " still warms");
    if (version_of(entry->second.active->held.body) != version)
      return absl::StrCat("cluster ", name, " runs in another version than is held");
    const auto running = running_.find(name);
    if (running == running_.end() || running->second != entry->second.active->cluster)
      return absl::StrCat("the worker does not have cluster ", name, " as it is in force");
  }
  if (running_.size() != clusters.size())
    return absl::StrCat("the worker has ", running_.size(), " clusters of ", clusters.size());
  for (const auto& [key, service] : clusters_.services()) {
    const auto held = endpoints.find(key.second);
    if (held == endpoints.end()) continue;
    if (!service.assignment.has_value() || version_of(service.assignment->body) != held->second)
      return absl::StrCat("the endpoints of ", key.second, " run in another version than is held");
  }
  return {};
}

}  // namespace weft::simulation
