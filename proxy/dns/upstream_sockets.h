#pragma once

#include <functional>
#include <memory>

#include "proxy/dns/upstream.h"
#include "proxy/event/loop.h"

// Upstream by sockets: each question has one of its own, on a port that the kernel chooses at random, and hears of its
// server alone. One thread, the loop's.

namespace weft::dns {

class UpstreamSockets final : public Upstream {
 public:
  // `next_number`: numbers that nobody can guess.
  UpstreamSockets(event::LibeventLoop& loop, std::function<uint64_t()> next_number)
      : loop_(loop), next_number_(std::move(next_number)) {}

  std::unique_ptr<UpstreamQuery> ask(const transport::Address& server, Protocol protocol, std::string_view message,
                                     UpstreamQuery::Events& events) override;
  uint16_t next_id() override { return static_cast<uint16_t>(next_number_()); }

 private:
  event::LibeventLoop& loop_;
  std::function<uint64_t()> next_number_;
};

}  // namespace weft::dns
