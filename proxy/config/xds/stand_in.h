#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/config/xds/subscription.h"

// Who takes the place of a source that cannot be reached at the start. Main thread.

namespace weft::config::xds {

// Hears of all that comes. A source is a serialised ConfigSource.
class StandIn {
 public:
  virtual void on_wanted(const std::string& source, Type type, const std::vector<std::string>& names) = 0;
  virtual void on_update(const std::string& source, Type type, const Update& update,
                         const std::vector<Refusal>& refusals) = 0;
  // The source did not answer for something in time. True if it is away.
  virtual bool on_fetch_timeout(const std::string& source) = 0;
  virtual bool away(const std::string& source) const = 0;
  // What the source had of these names, or all that it had.
  virtual std::optional<Update> restore(const std::string& source, Type type,
                                        const std::vector<std::string>& names) = 0;

 protected:
  ~StandIn() = default;
};

}  // namespace weft::config::xds
