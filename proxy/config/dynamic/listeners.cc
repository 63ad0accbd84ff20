#include "proxy/config/dynamic/listeners.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "proxy/base/log.h"
#include "proxy/config/compile/resource.h"

namespace weft::config {
namespace {

KnownChains chains_of(const Listeners::Entry& entry) {
  KnownChains known;
  for (const auto* version : {entry.active.get(), entry.warming.get()}) {
    if (version == nullptr) continue;
    each_chain(version->listener(), [&](const auto& chain) { known[chain->content_hash] = chain; });
  }
  return known;
}

// Of a static one the body is empty.
bool is_inbound(const google::protobuf::Any& body) {
  envoy::config::listener::v3::Listener proto;
  return body.UnpackTo(&proto) && proto.traffic_direction() == envoy::config::core::v3::INBOUND;
}

bool any_free_port(const transport::Address& address) {
  return address.family != transport::Address::Family::kUnix && address.port == 0;
}

}  // namespace

Listeners::Listeners(SharedParts& parts, event::Loop& loop, std::vector<ListenerNeeds*> needs,
                     ListenerPublisher& publisher, Options options)
    : parts_(parts),
      loop_(loop),
      needs_(std::move(needs)),
      publisher_(publisher),
      options_(std::move(options)),
      stats_(parts.family<observe::ListenerManagerStats>("listener_manager.", "", "")),
      ledger_(parts, "listener_manager.lds."),
      count_timer_(loop.timers(), base::bind<&Listeners::count>(this)) {
  if (options_.global_connections == nullptr) {
    options_.global_connections = std::make_shared<listener::ConnectionLimit>();
  }
}

Listeners::~Listeners() = default;

absl::Status Listeners::add_static(std::shared_ptr<const snapshot::Listener> listener) {
  std::string name = listener->name;
  auto shared = listener::make_shared_listener(std::move(listener), options_.global_connections);
  if (!shared.ok()) return shared.status();
  auto version = std::make_unique<Version>();
  version->shared = *std::move(shared);
  std::string wrong = open_addresses(name, *version);
  for (const auto& address : version->addresses) {
    if (wrong.empty()) wrong = std::string(address->listen(version->listener()).message());
  }
  if (!wrong.empty()) return absl::UnavailableError(absl::StrCat("listener '", name, "': ", wrong));
  Entry& entry = entries_[name];
  entry.is_static = true;
  entry.warming = std::move(version);
  return absl::OkStatus();
}

void Listeners::await(const std::string& source) { awaited_.insert(source); }

void Listeners::start(std::function<void()> on_settled) {
  on_settled_ = std::move(on_settled);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  awaited_.insert(names.begin(), names.end());
  for (const std::string& name : names) begin(name, std::move(entries_.at(name).warming));
  check_all_settled();
}

void Listeners::check_all_settled() {
  count();
  tell_if_all_settled();
}

void Listeners::tell_if_all_settled() {
  if (awaited_.empty() && on_settled_ != nullptr) std::exchange(on_settled_, nullptr)();
}

std::vector<std::string> Listeners::awaited() const {
  std::vector<std::string> names;
  for (const std::string& each : awaited_) {
    if (entries_.contains(each)) names.push_back(each);
  }
  return names;
}

void Listeners::stop() {
  stopped_ = true;
  for (auto& [name, entry] : entries_) {
    if (entry.active != nullptr) entry.active->addresses.clear();
    entry.warming.reset();
  }
}

std::vector<xds::Refusal> Listeners::on_update(const std::string& source, const xds::Update& update) {
  if (stopped_) return {};
  // What was refused may be so no more.
  for (const auto& [name, refused] : ledger_.refused()) note(name);
  // First, so that what comes may have the addresses of what goes.
  for (const std::string& name : ledger_.gone(update, entries_)) remove(name);
  auto take = [this](const xds::Resource& resource, bool* changed) {
    std::string reason = take_listener(resource, changed);
    if (!reason.empty()) stats().listener_create_failure.add();
    if (!reason.empty() || *changed) note(resource.name);
    return reason;
  };
  std::vector<xds::Refusal> refusals = ledger_.take(update, loop_.wall_ns(), take);
  left_addresses_.clear();
  awaited_.erase(source);
  check_all_settled();
  return refusals;
}

std::string Listeners::take_listener(const xds::Resource& resource, bool* changed) {
  auto found = entries_.find(resource.name);
  bool is_new = found == entries_.end();
  if (!is_new && found->second.is_static) return "the bootstrap has a listener of this name";
  if (!is_new) {
    Entry& entry = found->second;
    uint64_t hash = content_hash(resource.body);
    const auto& newest = entry.warming != nullptr ? entry.warming : entry.active;
    if (newest->held.hash == hash) return {};
    // What waits is no longer wanted when what runs is.
    if (entry.active != nullptr && entry.active->held.hash == hash) {
      entry.warming.reset();
      awaited_.erase(resource.name);
      *changed = true;
      return {};
    }
  }
  auto compiled = compile_listener_resource(parts_, resource.name, resource.body,
                                            is_new ? KnownChains() : chains_of(found->second));
  if (!compiled.ok()) return std::string(compiled.status().message());
  if (inbound_over_ && is_inbound(resource.body)) return {};
  const Version* before = is_new ? nullptr : found->second.active.get();
  auto shared = listener::make_shared_listener(*std::move(compiled), options_.global_connections,
                                               before == nullptr ? nullptr : before->shared.get());
  if (!shared.ok()) return std::string(shared.status().message());
  auto version = std::make_unique<Version>();
  version->shared = *std::move(shared);
  version->held = hold(resource, loop_.wall_ns());
  std::string wrong = open_addresses(resource.name, *version);
  if (!wrong.empty()) return wrong;
  *changed = true;
  (is_new ? stats().listener_added : stats().listener_modified).add();
  stats().listener_create_success.add();
  if (on_settled_ != nullptr) awaited_.insert(resource.name);
  begin(resource.name, std::move(version));
  return {};
}

std::string Listeners::open_addresses(const std::string& name, Version& version) {
  const snapshot::Listener& listener = version.listener();
  for (size_t i = 0; i < listener.addresses.size(); ++i) {
    const transport::Address& address = listener.addresses[i];
    std::string where = i == 0 ? "address" : absl::StrCat("additional_addresses[", i - 1, "].address");
    std::string holder = any_free_port(address) ? "" : claims_.holder_of(address, name);
    if (!holder.empty()) {
      return absl::StrCat(where, ": ", address.to_string(), " is the address of listener \"", holder, "\"");
    }
    version.claims.push_back(claims_.claim(address, listener.name));
    if (!listener.bind_to_port) continue;
    listener::ListenAddressPtr open = open_already(name, listener, address);
    if (open == nullptr) {
      auto bound = listener::ListenAddress::bind(listener, address, options_.workers);
      if (!bound.ok()) return absl::StrCat(where, ": ", bound.status().message());
      open = *std::move(bound);
    }
    if (!(open->bound() == address)) version.claims.push_back(claims_.claim(open->bound(), listener.name));
    version.addresses.push_back(std::move(open));
  }
  return {};
}

listener::ListenAddressPtr Listeners::open_already(const std::string& name, const snapshot::Listener& listener,
                                                   const transport::Address& address) const {
  if (auto entry = entries_.find(name); entry != entries_.end()) {
    for (const Version* version : {entry->second.active.get(), entry->second.warming.get()}) {
      if (version == nullptr) continue;
      for (const auto& open : version->addresses) {
        if (open->serves(listener, address)) return open;
      }
    }
  }
  if (any_free_port(address)) return nullptr;
  for (const auto& open : left_addresses_) {
    if (open->serves(listener, address)) return open;
  }
  return nullptr;
}

void Listeners::begin(const std::string& name, std::unique_ptr<Version> version) {
  Entry& entry = entries_[name];
  // What waited goes last, so that what it had already of its needs stays.
  std::unique_ptr<Version> before = std::exchange(entry.warming, std::move(version));
  for (ListenerNeeds* each : needs_) {
    Version& begun = *entry.warming;
    begun.needs.push_back(each->need(begun.listener(), [this, name] { look_whether_settled(name); }));
  }
  before.reset();
  look_whether_settled(name);
}

void Listeners::look_whether_settled(const std::string& name) {
  const auto& needs = entries_.at(name).warming->needs;
  bool all_asked = needs.size() == needs_.size();
  if (all_asked && std::all_of(needs.begin(), needs.end(), [](const auto& need) { return need->settled(); })) {
    activate(name);
  }
}

void Listeners::activate(const std::string& name) {
  if (!entries_.at(name).is_static) note(name);
  Entry& entry = entries_.at(name);
  Version& now = *entry.warming;
  for (const auto& address : now.addresses) {
    absl::Status listening = address->listen(now.listener());
    if (listening.ok()) continue;
    // It could be bound, and another process was quicker to listen.
    base::log_error(absl::StrCat("listener '", name, "': ", listening.message(), "; what runs goes on"));
    ledger_.refuse(now.held, name, std::string(listening.message()), loop_.wall_ns());
    stats().listener_create_failure.add();
    entry.warming.reset();
    if (entry.active == nullptr) entries_.erase(name);
    awaited_.erase(name);
    count_timer_.arm(0);
    return tell_if_all_settled();
  }
  std::unique_ptr<Version> before = std::exchange(entry.active, std::move(entry.warming));
  std::shared_ptr<snapshot::RetiredChains> retired = before == nullptr ? nullptr : retire(*before, entry.active.get());
  publisher_.listen(entry.active->shared, entry.active->addresses, retired);
  if (before != nullptr) {
    size_t chains = 0;
    each_chain(before->listener(), [&](const auto&) { ++chains; });
    if (retired->size() < chains) stats().listener_in_place_updated.add();
    drain(std::move(before), std::move(retired));
  }
  awaited_.erase(name);
  // Thousands may become active in one turn.
  count_timer_.arm(0);
  tell_if_all_settled();
}

std::shared_ptr<snapshot::RetiredChains> Listeners::retire(const Version& before, const Version* now) const {
  std::set<std::shared_ptr<const snapshot::FilterChain>> kept;
  if (now != nullptr) each_chain(now->listener(), [&](const auto& chain) { kept.insert(chain); });
  std::vector<std::shared_ptr<const snapshot::FilterChain>> chains;
  each_chain(before.listener(), [&](const auto& chain) {
    if (!kept.contains(chain)) chains.push_back(chain);
  });
  return std::make_shared<snapshot::RetiredChains>(std::move(chains), options_.workers, inbound_over_);
}

void Listeners::drain(std::unique_ptr<Version> version, std::shared_ptr<snapshot::RetiredChains> retired) {
  size_t chains = 0;
  each_chain(version->listener(), [&](const auto&) { ++chains; });
  bool whole = retired->size() == chains;
  version->addresses.clear();
  version->claims.clear();
  draining_.push_back({std::move(version), std::move(retired), whole, loop_.now_ms() + options_.drain_time_ms});
}

void Listeners::remove(const std::string& name) {
  auto found = entries_.find(name);
  if (found == entries_.end() || found->second.is_static) return;
  take_away(name);
}

bool Listeners::drain_inbound() {
  inbound_over_ = true;
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    const auto& newest = entry.active != nullptr ? entry.active : entry.warming;
    if (is_inbound(newest->held.body)) names.push_back(name);
  }
  for (const std::string& name : names) take_away(name);
  left_addresses_.clear();
  check_all_settled();
  return !names.empty();
}

bool Listeners::inbound_drained() const {
  return std::none_of(draining_.begin(), draining_.end(), [](const Draining& each) {
    return is_inbound(each.version->held.body) && !each.retired->done();
  });
}

void Listeners::take_away(const std::string& name) {
  note(name);
  Entry entry = std::move(entries_.at(name));
  entries_.erase(name);
  stats().listener_removed.add();
  awaited_.erase(name);
  for (const auto* version : {entry.active.get(), entry.warming.get()}) {
    if (version == nullptr) continue;
    left_addresses_.insert(left_addresses_.end(), version->addresses.begin(), version->addresses.end());
  }
  if (entry.active == nullptr) return;
  stats().listener_stopped.add();
  std::shared_ptr<snapshot::RetiredChains> retired = retire(*entry.active, nullptr);
  publisher_.stop_listener(name, retired);
  drain(std::move(entry.active), std::move(retired));
}

void Listeners::on_fetch_timeout(const std::string& source) {
  ledger_.timed_out();
  awaited_.erase(source);
  check_all_settled();
}

void Listeners::tick() {
  for (Draining& each : draining_) {
    if (each.closed || loop_.now_ms() < each.deadline_ms) continue;
    each.closed = true;
    publisher_.close_retired(each.retired);
  }
  // What they needed goes only now: connections on their chains may have used it.
  std::erase_if(draining_, [](const Draining& each) { return each.retired->done(); });
  count();
}

void Listeners::count() {
  int64_t active = 0, warming = 0, draining = 0, chains = 0;
  for (const auto& [name, entry] : entries_) {
    active += entry.active != nullptr;
    warming += entry.warming != nullptr;
  }
  for (const Draining& each : draining_) {
    draining += each.whole;
    chains += each.whole ? 0 : static_cast<int64_t>(each.retired->size());
  }
  stats().total_listeners_active.set(active);
  stats().total_listeners_warming.set(warming);
  stats().total_listeners_draining.set(draining);
  stats().total_filter_chains_draining.set(chains);
}

void Listeners::note(const std::string& name) {
  if (watcher_ != nullptr) watcher_->on_resource_changed({xds::Type::kListener, "", name});
}

ResourceState Listeners::state(const ResourceKey& key) const { return ledger_.state(entries_, key.name); }

void Listeners::visit(const std::function<void(const ResourceKey& key)>& each) const {
  for (const auto& [name, entry] : entries_) {
    if (!entry.is_static) each({xds::Type::kListener, "", name});
  }
  for (const auto& [name, refused] : ledger_.refused()) each({xds::Type::kListener, "", name});
}

std::vector<const observe::FamilyBase*> Listeners::families() const {
  std::set<const observe::FamilyBase*> all = {stats_.get(), &ledger_.updates().family()};
  auto add = [&](const Version* version) {
    if (version == nullptr) return;
    all.insert(version->listener().stats.get());
    each_chain(version->listener(), [&](const auto& chain) {
      if (chain->http != nullptr) all.insert(chain->http->stats.get());
      if (chain->tcp != nullptr) all.insert(chain->tcp->stats.get());
    });
  };
  for (const auto& [name, entry] : entries_) {
    add(entry.active.get());
    add(entry.warming.get());
  }
  for (const Draining& each : draining_) add(each.version.get());
  for (const auto& [name, family] : parts_.filter_families()) all.insert(family.get());
  return {all.begin(), all.end()};
}

}  // namespace weft::config
