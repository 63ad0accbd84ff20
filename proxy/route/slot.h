#pragma once

#include <string>
#include <utility>

#include "proxy/base/slot.h"

// The place of a route table that comes and changes while the proxy runs (RDS), by its source and its name. Connection
// managers refer to the slot; every worker keeps for itself which table stands in it (stream::Worker::assign_routes).

namespace weft::route {

class RouteSlot final : public base::Slot {
 public:
  using Key = std::pair<std::string, std::string>;
  RouteSlot(Key key, uint32_t index) : Slot(index), key_(std::move(key)) {}
  const Key& key() const { return key_; }
  // A serialised ConfigSource.
  const std::string& source() const { return key_.first; }
  // Of the route configuration.
  const std::string& name() const { return key_.second; }

 private:
  Key key_;
};
using RouteSlotPtr = std::shared_ptr<const RouteSlot>;
using RouteSlots = base::Slots<RouteSlot>;

}  // namespace weft::route
