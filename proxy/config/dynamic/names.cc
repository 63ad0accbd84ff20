#include "proxy/config/dynamic/names.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "api/text/cat.h"
#include "weft/v1/name_table.pb.h"

namespace weft::config {
namespace {

constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxLabelBytes = 63;
constexpr int kMaxHosts = 1'000;
constexpr int kMaxAddresses = 10'000;

// Labels of letters, digits, '-' and '_' with dots between; the first one may be "*".
bool is_host(std::string_view host) {
  if (host.starts_with("*.")) host.remove_prefix(2);
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  size_t begin = 0;
  while (begin <= host.size()) {
    size_t end = std::min(host.find('.', begin), host.size());
    std::string_view label = host.substr(begin, end - begin);
    bool fits = !label.empty() && label.size() <= kMaxLabelBytes && std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!fits) return false;
    begin = end + 1;
  }
  return true;
}

absl::StatusOr<dns::ServiceNames> read(const xds::Resource& resource) {
  v1::NameTable table;
  if (!resource.body.UnpackTo(&table)) return absl::InvalidArgumentError("is no valid weft.v1.NameTable");
  if (table.name() != resource.name) {
    return absl::InvalidArgumentError(text::cat("name: is \"", table.name(), "\", expected \"", resource.name, "\""));
  }
  if (table.hosts_size() > kMaxHosts || table.addresses_size() > kMaxAddresses) {
    return absl::InvalidArgumentError(text::cat("has ", table.hosts_size(), " hosts and ", table.addresses_size(),
                                                " addresses, expected at most ", kMaxHosts, " and ", kMaxAddresses));
  }
  dns::ServiceNames names;
  names.external = table.external();
  for (int i = 0; i < table.hosts_size(); ++i) {
    if (!is_host(table.hosts(i))) {
      return absl::InvalidArgumentError(
          text::cat("hosts[", i, "]: \"", table.hosts(i), "\" is no DNS name in lower case, nor \"*.\" and one"));
    }
    names.hosts.push_back(table.hosts(i));
  }
  for (int i = 0; i < table.addresses_size(); ++i) {
    transport::Address address = transport::Address::parse_ip(table.addresses(i), 0);
    if (address.family == transport::Address::Family::kNone) {
      return absl::InvalidArgumentError(text::cat("addresses[", i, "]: \"", table.addresses(i), "\" is no IP address"));
    }
    names.addresses.push_back(std::move(address));
  }
  return names;
}

}  // namespace

void Names::await(std::function<void()> on_settled) {
  if (settled()) return on_settled();
  on_settled_ = std::move(on_settled);
}

std::string Names::take(const xds::Resource& resource, bool* changed, std::vector<dns::NameChange>* changes) {
  note(resource.name);
  absl::StatusOr<dns::ServiceNames> names = read(resource);
  if (!names.ok()) return std::string(names.status().message());
  Held held = hold(resource, loop_.wall_ns());
  auto [entry, is_new] = entries_.try_emplace(resource.name);
  bool same = !is_new && entry->second.held.hash == held.hash;
  entry->second.held = std::move(held);
  if (same) return {};
  *changed = true;
  changes->push_back({resource.name, *std::move(names)});
  return {};
}

std::vector<xds::Refusal> Names::on_update(const xds::Update& update) {
  std::vector<dns::NameChange> changes;
  // What was refused may be so no more.
  for (const auto& [name, refused] : ledger_.refused()) note(name);
  for (const std::string& name : ledger_.gone(update, entries_)) {
    if (entries_.erase(name) == 0) continue;
    note(name);
    changes.push_back({name, std::nullopt});
  }
  auto refusals = ledger_.take(update, loop_.wall_ns(), [&](const xds::Resource& resource, bool* changed) {
    return take(resource, changed, &changes);
  });
  if (publisher_ != nullptr && !changes.empty()) publisher_->change_names(std::move(changes));
  settle();
  return refusals;
}

void Names::on_fetch_timeout() {
  if (!settled_) ledger_.timed_out();
  settle();
}

void Names::settle() {
  if (std::exchange(settled_, true)) return;
  if (publisher_ != nullptr) publisher_->set_names_known();
  if (on_settled_ != nullptr) std::exchange(on_settled_, nullptr)();
}

void Names::note(const std::string& name) {
  if (watcher_ != nullptr) watcher_->on_resource_changed({xds::Type::kName, "", name});
}

std::vector<const observe::FamilyBase*> Names::families() const {
  if (!wanted()) return {};
  return {&ledger_.updates().family(), &publisher_->family()};
}

ResourceState Names::state(const ResourceKey& key) const {
  ResourceState state;
  if (auto found = entries_.find(key.name); found != entries_.end()) state.version = found->second.held.version;
  auto refused = ledger_.refused().find(key.name);
  state.refused = refusal_of(refused == ledger_.refused().end() ? nullptr : &refused->second);
  return state;
}

void Names::visit(const std::function<void(const ResourceKey& key)>& each) const {
  for (const auto& [name, entry] : entries_) each({xds::Type::kName, "", name});
  for (const auto& [name, refused] : ledger_.refused()) {
    if (!entries_.contains(name)) each({xds::Type::kName, "", name});
  }
}

}  // namespace weft::config
