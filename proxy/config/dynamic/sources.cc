#include "proxy/config/dynamic/sources.h"

#include <utility>

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
  std::vector<xds::Refusal> refusals = intake_.on_update(key.first, key.second, update);
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

// Nobody is left to ask for. That is not the empty list, which would mean something else.
bool Sources::ends(const Subscription& subscription) {
  return subscription.names.empty() && !xds::type_info(subscription.key.second).whole;
}

void Sources::subscribe(Subscription& subscription) {
  xds::Type type = subscription.key.second;
  std::vector<std::string> names;
  for (const auto& [name, count] : subscription.names) names.push_back(name);
  subscription.dropped.clear();
  if (!subscription.renewed.empty()) {
    // A source tells again only what was not wanted in between.
    std::vector<std::string> others = names;
    std::erase_if(others, [&](const std::string& name) { return subscription.renewed.contains(name); });
    subscription.renewed.clear();
    subscription.source->subscribe(type, std::move(others));
  }
  subscription.source->subscribe(type, names);
}

void Sources::end_turn() {
  for (const Key& key : std::exchange(changed_, {})) {
    Subscription& subscription = *subscriptions_.at(key);
    if (!ends(subscription)) {
      subscribe(subscription);
      continue;
    }
    changed_.erase(key);
    subscriptions_.erase(key);
  }
}

}  // namespace weft::config
