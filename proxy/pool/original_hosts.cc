#include "proxy/pool/original_hosts.h"

#include <algorithm>
#include <iterator>

namespace weft::pool {

using transport::Address;

OriginalHosts::OriginalHosts(event::Loop& loop, int64_t idle_ms, uint16_t port,
                             base::Callback<void(const Forgotten&)> on_forgotten)
    : idle_ms_(idle_ms),
      port_(port),
      on_forgotten_(on_forgotten),
      timer_(loop.timers(), base::bind<&OriginalHosts::look_over>(this)) {}

cluster::HostPtr OriginalHosts::find(const Address& destination) {
  if (destination.family != Address::Family::kIpv4 && destination.family != Address::Family::kIpv6) return nullptr;
  Key key{{}, destination.scope_id, port_ != 0 ? port_ : destination.port, destination.family};
  std::copy(std::begin(destination.ip), std::end(destination.ip), key.ip.begin());
  if (auto found = hosts_.find(key); found != hosts_.end()) {
    found->second.asked_for = true;
    return found->second.host;
  }
  if (hosts_.size() >= kMostHosts) return nullptr;
  Address address = destination;
  address.port = key.port;
  auto host = std::make_shared<cluster::Host>(std::move(address), "", 1);
  hosts_.emplace(key, Entry{host});
  if (!timer_.armed()) timer_.arm(idle_ms_);
  return host;
}

void OriginalHosts::look_over() {
  Forgotten forgotten;
  // Those who are told look at the hosts that go.
  std::vector<cluster::HostPtr> gone;
  for (auto each = hosts_.begin(); each != hosts_.end();) {
    auto entry = each++;
    if (std::exchange(entry->second.asked_for, false)) continue;
    forgotten.insert(entry->second.host.get());
    gone.push_back(std::move(entry->second.host));
    hosts_.erase(entry);
  }
  if (!forgotten.empty()) on_forgotten_(forgotten);
  if (!hosts_.empty()) timer_.arm(idle_ms_);
}

}  // namespace weft::pool
