#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/xds/subscription.h"

// A consumer that keeps what it was given, and refuses what a test names.

namespace weft::config::xds {

struct Recorder final : Consumer {
  std::vector<Refusal> on_update(Type type, const Update& update) override {
    updates.push_back({type, update});
    auto& of_type = have[type];
    std::vector<Refusal> refusals;
    std::set<std::string> named;
    for (const Resource& resource : update.changed) {
      named.insert(resource.name);
      if (auto found = refuse.find(resource.name); found != refuse.end()) {
        refusals.push_back({resource.name, found->second});
      } else {
        of_type[resource.name] = resource.version;
      }
    }
    for (const std::string& name : update.removed) of_type.erase(name);
    if (update.whole) {
      for (auto it = of_type.begin(); it != of_type.end();) {
        it = named.count(it->first) != 0 ? std::next(it) : of_type.erase(it);
      }
    }
    return refusals;
  }
  void on_fetch_timeout(Type type, const std::vector<std::string>& names) override {
    timeouts.push_back({type, names});
  }

  std::vector<std::pair<Type, Update>> updates;
  std::vector<std::pair<Type, std::vector<std::string>>> timeouts;
  std::map<Type, std::map<std::string, std::string>> have;  // Name to version.
  std::map<std::string, std::string> refuse;                // Name to reason.
};

}  // namespace weft::config::xds
