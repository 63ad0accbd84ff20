#include "control-plane/server/interest.h"

#include <algorithm>

namespace weft::control::server {

namespace {

template <typename Index, typename Key>
void drop(Index& index, const Key& key, uint64_t id) {
  const auto found = index.find(key);
  if (found == index.end()) return;
  found->second.erase(id);
  if (found->second.empty()) index.erase(found);
}

template <typename Index, typename Key>
void collect(const Index& index, const Key& key, std::vector<uint64_t>& ids) {
  const auto found = index.find(key);
  if (found != index.end()) ids.insert(ids.end(), found->second.begin(), found->second.end());
}

}  // namespace

void Interest::add(Id id, const compile::Audience& audience) {
  // While one of them is not there nobody borrows it, and it may come.
  for (const registry::ServiceName& name : audience.authorizers) by_name_[{name.namespace_name, name.name}].insert(id);
  if (!audience.scope.has_value()) {
    everywhere_.insert(id);
    return;
  }
  for (const registry::HostPattern& host : *audience.scope) {
    if (host.is_exact()) {
      by_name_[{host.namespace_name, host.name}].insert(id);
    } else if (host.namespace_name == "*") {
      everywhere_.insert(id);
    } else {
      by_namespace_[host.namespace_name].insert(id);
    }
  }
}

void Interest::remove(Id id, const compile::Audience& audience) {
  everywhere_.erase(id);
  for (const registry::ServiceName& name : audience.authorizers) {
    drop(by_name_, std::pair(name.namespace_name, name.name), id);
  }
  if (!audience.scope.has_value()) return;
  for (const registry::HostPattern& host : *audience.scope) {
    drop(by_name_, std::pair(host.namespace_name, host.name), id);
    drop(by_namespace_, host.namespace_name, id);
  }
}

void Interest::borrow(Id id, const std::set<registry::ServiceName>& before,
                      const std::set<registry::ServiceName>& now) {
  for (const registry::ServiceName& name : before) {
    if (!now.contains(name)) drop(borrowers_, name, id);
  }
  for (const registry::ServiceName& name : now) borrowers_[name].insert(id);
}

std::vector<Interest::Id> Interest::of(const registry::ServiceName& name) const {
  std::vector<Id> ids(everywhere_.begin(), everywhere_.end());
  collect(by_name_, std::pair(name.namespace_name, name.name), ids);
  collect(by_namespace_, name.namespace_name, ids);
  collect(borrowers_, name, ids);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace weft::control::server
