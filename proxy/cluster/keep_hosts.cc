#include "proxy/cluster/keep_hosts.h"

#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace weft::cluster {
namespace {

bool take_over_flag(Host& known, const Host& told, Host::HealthFlag flag) {
  return known.set_flag(flag, (told.flags() & flag) != 0);
}

}  // namespace

bool keep_known_hosts(const HostSet& before, std::vector<std::vector<HostPtr>>& now) {
  absl::flat_hash_map<std::pair<std::string_view, std::string_view>, HostPtr> known;
  for (const auto& hosts : before.priorities) {
    for (const HostPtr& host : hosts) known.try_emplace({host->address_text(), host->hostname()}, host);
  }
  bool changed = false;
  for (auto& hosts : now) {
    for (HostPtr& host : hosts) {
      auto found = known.find({host->address_text(), host->hostname()});
      // Connections of another kind are those of another host, and so are those to another workload.
      bool is_same = found != known.end() && found->second->transport() == host->transport() &&
                     found->second->same_identity(*host);
      if (!is_same) continue;
      Host& same = *found->second;
      changed |= take_over_flag(same, *host, Host::kUnhealthyByConfig);
      changed |= take_over_flag(same, *host, Host::kDegraded);
      changed |= same.weight() != host->weight();
      same.set_weight(host->weight());
      host = found->second;
    }
  }
  return changed || now != before.priorities;
}

}  // namespace weft::cluster
