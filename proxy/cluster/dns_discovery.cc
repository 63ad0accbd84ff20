#include "proxy/cluster/dns_discovery.h"

#include <algorithm>

namespace weft::cluster {

DnsDiscovery::Name::Name(DnsDiscovery& owner, const DnsEndpoint& endpoint)
    : owner(owner), endpoint(endpoint), timer(owner.loop_.timers(), base::bind<&Name::on_timer>(this)) {}

DnsDiscovery::DnsDiscovery(event::Loop& loop, base::Random& random, DnsResolver& resolver, ClusterPtr cluster,
                           std::function<void()> on_ready)
    : loop_(loop), random_(random), resolver_(resolver), cluster_(std::move(cluster)), on_ready_(std::move(on_ready)) {}

void DnsDiscovery::start() {
  for (const DnsEndpoint& endpoint : cluster_->own().dns_endpoints) {
    names_.push_back(std::make_unique<Name>(*this, endpoint));
  }
  for (auto& name : names_) name->ask();
}

void DnsDiscovery::Name::ask() {
  const ClusterPolicy& config = owner.cluster_->config();
  owner.cluster_->stats(0).update_attempt.add();
  std::weak_ptr<bool> alive = owner.alive_;
  owner.resolver_.resolve(endpoint.hostname, config.dns_family, [this, alive](absl::StatusOr<DnsAnswer> answer) {
    if (!alive.expired()) owner.on_answer(*this, std::move(answer));
  });
}

void DnsDiscovery::on_answer(Name& name, absl::StatusOr<DnsAnswer> answer) {
  const ClusterPolicy& config = cluster_->config();
  auto& stats = cluster_->stats(0);
  bool first = !name.answered;
  name.answered = true;
  int64_t wait_ms = config.dns_refresh_ms;
  if (!answer.ok() || answer->addresses.empty()) {
    (answer.ok() ? stats.update_empty : stats.update_failure).add();
    ++name.failures;
    if (config.dns_failure_refresh_base_ms != 0) {
      int64_t longest_ms = std::max(config.dns_failure_refresh_max_ms, config.dns_failure_refresh_base_ms);
      int64_t bound_ms = std::min(config.dns_failure_refresh_base_ms << std::min(name.failures, 16u), longest_ms);
      wait_ms = 1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(bound_ms)));
    }
  } else {
    stats.update_success.add();
    name.failures = 0;
    if (config.respect_dns_ttl && answer->ttl_s > 0) wait_ms = answer->ttl_s * 1000;
    if (config.discovery == DiscoveryType::kLogicalDns) answer->addresses.resize(1);
    for (auto& address : answer->addresses) address.port = name.endpoint.port;
    std::sort(answer->addresses.begin(), answer->addresses.end(),
              [](const auto& a, const auto& b) { return a.to_string() < b.to_string(); });
    if (answer->addresses == name.addresses) {
      stats.update_no_rebuild.add();
    } else {
      name.addresses = std::move(answer->addresses);
      publish();
    }
  }
  name.timer.arm(std::max<int64_t>(wait_ms, 1));
  bool all = std::all_of(names_.begin(), names_.end(), [](const auto& each) { return each->answered; });
  if (first && all && on_ready_ != nullptr) std::exchange(on_ready_, nullptr)();
}

void DnsDiscovery::publish() {
  std::vector<std::vector<HostPtr>> priorities;
  std::map<std::pair<std::string, uint32_t>, HostPtr> hosts;
  for (const auto& name : names_) {
    if (priorities.size() <= name->endpoint.priority) priorities.resize(name->endpoint.priority + 1);
    for (const auto& address : name->addresses) {
      auto key = std::make_pair(address.to_string(), name->endpoint.priority);
      if (hosts.contains(key)) continue;
      auto known = hosts_.find(key);
      bool same = known != hosts_.end() && known->second->weight() == std::max(name->endpoint.weight, 1u);
      HostPtr host =
          same ? known->second : std::make_shared<Host>(address, name->endpoint.hostname, name->endpoint.weight);
      hosts[key] = host;
      priorities[name->endpoint.priority].push_back(host);
    }
  }
  hosts_ = std::move(hosts);
  cluster_->set_hosts(std::move(priorities));
}

}  // namespace weft::cluster
