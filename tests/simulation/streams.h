#pragma once

// How a simulated proxy reaches the control plane: by whole messages (channel.h), which is cheap enough for thousands,
// or by bytes through all of the proxy's own stack (stack.h). Owned by its proxy; one thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/config/xds/subscription.h"

namespace weft::simulation {

class Streams {
 public:
  virtual ~Streams() = default;

  // As config::xds::Source::subscribe().
  virtual void subscribe(config::xds::Type type, std::vector<std::string> names) = 0;

  // They break; each end learns of it after so long.
  virtual void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) = 0;
  // Until then nobody answers when it calls.
  virtual void isolate_until(int64_t us) = 0;
  // What the proxy takes for reading.
  virtual void set_read_delay_us(int64_t us) = 0;

  // All that are wanted are there.
  virtual bool connected() const = 0;
  virtual size_t open() const = 0;
  // Requests that wait to be sent.
  virtual size_t unsent() const = 0;
};

}  // namespace weft::simulation
