#include "proxy/dns/name_table.h"

#include <algorithm>
#include <utility>

namespace weft::dns {

void NameTable::apply(NameChange change) {
  remove(change.service);
  if (!change.names) return;
  auto service = std::make_unique<const Service>(Service{change.service, *std::move(change.names)});
  for (const std::string& host : service->names.hosts) {
    Owners& owners = index_of(host)[host];
    auto before = [](const Service* a, const Service* b) {
      return std::pair(a->names.external, std::string_view(a->name)) <
             std::pair(b->names.external, std::string_view(b->name));
    };
    auto place = std::lower_bound(owners.begin(), owners.end(), service.get(), before);
    // A host that stands twice is the service's once.
    if (place == owners.end() || *place != service.get()) owners.insert(place, service.get());
  }
  services_.insert_or_assign(std::move(change.service), std::move(service));
}

void NameTable::remove(const std::string& service) {
  auto found = services_.find(service);
  if (found == services_.end()) return;
  for (const std::string& host : found->second->names.hosts) {
    ByHost& index = index_of(host);
    auto owners = index.find(host);
    if (owners == index.end()) continue;
    std::erase(owners->second, found->second.get());
    if (owners->second.empty()) index.erase(owners);
  }
  services_.erase(found);
}

const ServiceNames* NameTable::find_exact(std::string_view name) const {
  auto found = exact_.find(absl::string_view(name.data(), name.size()));
  return found == exact_.end() ? nullptr : &found->second.front()->names;
}

const ServiceNames* NameTable::find_wildcard(std::string_view name) const {
  if (wildcards_.empty()) return nullptr;
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    std::string wildcard = "*" + std::string(name.substr(dot));
    auto found = wildcards_.find(wildcard);
    if (found != wildcards_.end()) return &found->second.front()->names;
  }
  return nullptr;
}

NameTable::Found NameTable::find(std::string_view name) const {
  // A label with a dot in it is of no host, and could not be written as a canonical name.
  if (name.find('\\') != std::string_view::npos) return {};
  if (const ServiceNames* names = find_exact(name)) return {names, {}};
  std::string_view whole;
  if (!search_.empty() && name.size() > search_.size() + 1 && name.ends_with(search_) &&
      name[name.size() - search_.size() - 1] == '.') {
    whole = name.substr(0, name.size() - search_.size() - 1);
  }
  if (!whole.empty()) {
    if (const ServiceNames* names = find_exact(whole)) return {names, whole};
  }
  if (const ServiceNames* names = find_wildcard(name)) return {names, {}};
  if (!whole.empty()) {
    if (const ServiceNames* names = find_wildcard(whole)) return {names, whole};
  }
  return {};
}

}  // namespace weft::dns
