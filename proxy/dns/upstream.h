#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/transport/byte_stream.h"

// How questions come to the platform's servers: the interface between the forwarder, which decides, and the sockets.
// One thread.

namespace weft::dns {

enum class Protocol : uint8_t { kUdp, kTcp };

// One question on its way to one server. Destroyed when nothing more is wanted of it, never within its own events.
class UpstreamQuery {
 public:
  class Events {
   public:
    // A message of that server, which need not be the answer.
    virtual void on_message(std::string_view message) = 0;
    // Nothing will come any more.
    virtual void on_failed() = 0;

   protected:
    ~Events() = default;
  };
  virtual ~UpstreamQuery() = default;
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  // From a port that nobody can guess. No event comes from within this call.
  virtual std::unique_ptr<UpstreamQuery> ask(const transport::Address& server, Protocol protocol,
                                             std::string_view message, UpstreamQuery::Events& events) = 0;
  // For a message; nobody can guess it.
  virtual uint16_t next_id() = 0;
};

}  // namespace weft::dns
