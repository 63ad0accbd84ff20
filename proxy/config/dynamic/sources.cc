#include "proxy/config/dynamic/sources.h"

#include <utility>

#include "proxy/config/xds/type.h"

namespace weft::config {

Sources::Subscription& Sources::subscription(const std::string& source, xds::Type type) {
  std::unique_ptr<Subscription>& found = subscriptions_[{source, type}];
  if (found == nullptr) {
    found = std::make_unique<Subscription>(intake_, Key{source, type});
    found->source = make_(source, type, *found);
  }
  return *found;
}

void Sources::want_all(const std::string& source, xds::Type type) {
  changed_.insert(&subscription(source, type));
  timer_.arm(0);
}

void Sources::want(const std::string& source, xds::Type type, const std::string& name) {
  Subscription& wanted = subscription(source, type);
  if (++wanted.names[name] > 1) return;
  changed_.insert(&wanted);
  timer_.arm(0);
}

void Sources::unwant(const std::string& source, xds::Type type, const std::string& name) {
  if (stopped_) return;
  Subscription& wanted = subscription(source, type);
  auto found = wanted.names.find(name);
  if (--found->second > 0) return;
  wanted.names.erase(found);
  changed_.insert(&wanted);
  timer_.arm(0);
}

void Sources::stop() {
  stopped_ = true;
  timer_.disarm();
  changed_.clear();
  subscriptions_.clear();
}

void Sources::subscribe() {
  for (Subscription* each : std::exchange(changed_, {})) {
    if (each->names.empty() && !xds::type_info(each->key.second).whole) {
      // Not the empty list, which would mean something else: nobody is left to ask for.
      subscriptions_.erase(each->key);
      continue;
    }
    std::vector<std::string> names;
    for (const auto& [name, count] : each->names) names.push_back(name);
    each->source->subscribe(each->key.second, std::move(names));
  }
}

}  // namespace weft::config
