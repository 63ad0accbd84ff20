#pragma once

#include <functional>
#include <memory>

#include "proxy/snapshot/snapshot.h"

// What a listener needs besides itself (its routes, its secrets), and who finds it. Main thread.

namespace weft::config {

// As long as it lives, so does what was asked for; it must outlast the listener's last connection.
class ListenerNeed {
 public:
  virtual ~ListenerNeed() = default;
  // All was found, or did not come in time.
  virtual bool settled() const = 0;
};

class ListenerNeeds {
 public:
  // Asks for what the listener's filter chains refer to. Unless it is settled at once, `on_settled` is called when it
  // is, once; it may destroy the need.
  virtual std::unique_ptr<ListenerNeed> need(const snapshot::Listener& listener, std::function<void()> on_settled) = 0;

 protected:
  ~ListenerNeeds() = default;
};

// Calls visit(chain) for each filter chain of the listener, the default one included.
template <typename Visit>
void each_chain(const snapshot::Listener& listener, Visit visit) {
  for (const auto& chain : listener.filter_chains) visit(chain);
  if (listener.default_filter_chain != nullptr) visit(listener.default_filter_chain);
}

}  // namespace weft::config
