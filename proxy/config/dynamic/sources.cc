#include "proxy/config/dynamic/sources.h"

#include <utility>

#include "api/text/cat.h"
#include "proxy/base/log.h"
#include "proxy/config/xds/type.h"

namespace weft::config {

Sources::Subscription& Sources::subscription(const std::string& source, xds::Type type) {
  std::unique_ptr<Subscription>& found = subscriptions_[{source, type}];
  if (found == nullptr) {
    found = std::make_unique<Subscription>(*this, Key{source, type});
    found->source = make_(source, type, *found);
  }
  return *found;
}

void Sources::want_all(const std::string& source, xds::Type type) {
  subscription(source, type);
  changed_.insert({source, type});
  timer_.arm(0);
}

void Sources::want(const std::string& source, xds::Type type, const std::string& name) {
  Subscription& wanted = subscription(source, type);
  if (++wanted.names[name] > 1) return;
  if (wanted.dropped.contains(name)) wanted.renewed.insert(name);
  changed_.insert(wanted.key);
  timer_.arm(0);
}

void Sources::unwant(const std::string& source, xds::Type type, const std::string& name) {
  if (stopped_) return;
  Subscription& wanted = subscription(source, type);
  auto found = wanted.names.find(name);
  if (--found->second > 0) return;
  wanted.names.erase(found);
  wanted.dropped.insert(name);
  changed_.insert(wanted.key);
  timer_.arm(0);
}

void Sources::stop() {
  stopped_ = true;
  timer_.disarm();
  changed_.clear();
  subscriptions_.clear();
}

std::vector<xds::Refusal> Sources::taken(const Key& key, const xds::Update& update) {
  Subscription& taking = *subscriptions_.at(key);
  for (const xds::Resource& resource : update.changed) taking.given.insert(resource.name);
  std::vector<xds::Refusal> refusals = intake_.on_update(key.first, key.second, update);
  if (stand_in_ != nullptr) stand_in_->on_update(key.first, key.second, update, refusals);
  // Sources end with the turn: one of them is the caller.
  std::vector<Subscription*> now;
  std::erase_if(changed_, [&](const Key& each) {
    Subscription& subscription = *subscriptions_.at(each);
    if (!ends(subscription)) now.push_back(&subscription);
    return !ends(subscription);
  });
  for (Subscription* each : now) subscribe(*each);
  return refusals;
}

void Sources::late(Subscription& subscription, std::vector<std::string> names) {
  const auto& [source, type] = subscription.key;
  if (stand_in_ != nullptr && stand_in_->on_fetch_timeout(source) && restore(subscription, &names) && names.empty()) {
    return;
  }
  intake_.on_fetch_timeout(source, type, names);
}

bool Sources::restore(Subscription& subscription, std::vector<std::string>* names) {
  const auto& [source, type] = subscription.key;
  std::optional<xds::Update> kept = stand_in_->restore(source, type, *names);
  if (!kept) return false;
  for (const xds::Resource& resource : kept->changed) {
    subscription.given.insert(resource.name);
    std::erase(*names, resource.name);
  }
  for (const xds::Refusal& refusal : intake_.on_update(source, type, *kept)) {
    base::log_error(text::cat("keep-config: ", xds::type_info(type).noun, " \"", refusal.name,
                              "\" cannot be restored: ", refusal.reason));
  }
  return true;
}

// Nobody is left to ask for. That is not the empty list, which would mean something else.
bool Sources::ends(const Subscription& subscription) {
  return subscription.names.empty() && !xds::type_info(subscription.key.second).whole;
}

void Sources::subscribe(Subscription& subscription) {
  const auto& [source, type] = subscription.key;
  std::vector<std::string> names;
  for (const auto& [name, count] : subscription.names) names.push_back(name);
  if (!xds::type_info(type).whole) {
    std::erase_if(subscription.given, [&](const std::string& name) {
      return !subscription.names.contains(name) || subscription.renewed.contains(name);
    });
  }
  if (stand_in_ != nullptr) stand_in_->on_wanted(source, type, names);
  subscription.dropped.clear();
  if (!subscription.renewed.empty()) {
    // A source tells again only what was not wanted in between.
    std::vector<std::string> others = names;
    std::erase_if(others, [&](const std::string& name) { return subscription.renewed.contains(name); });
    subscription.renewed.clear();
    subscription.source->subscribe(type, std::move(others));
  }
  subscription.source->subscribe(type, names);
  if (stand_in_ == nullptr || !stand_in_->away(source)) return;
  // Nobody waits a second time for a source that is known to be away.
  std::erase_if(names, [&](const std::string& name) { return subscription.given.contains(name); });
  bool all = subscription.names.empty() && subscription.given.empty();
  if (all || !names.empty()) restore(subscription, &names);
}

void Sources::end_turn() {
  for (const Key& key : std::exchange(changed_, {})) {
    Subscription& subscription = *subscriptions_.at(key);
    if (!ends(subscription)) {
      subscribe(subscription);
      continue;
    }
    if (stand_in_ != nullptr) stand_in_->on_wanted(key.first, key.second, {});
    changed_.erase(key);
    subscriptions_.erase(key);
  }
}

}  // namespace weft::config
