#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/dns/dns_stats.h"
#include "proxy/dns/message.h"
#include "proxy/dns/upstream.h"
#include "proxy/event/loop.h"

// Passes questions on to the platform's servers, in their order, and the answer back: what comes from the server that
// was asked, on the port from which it was asked, with the id of the question and the question itself. A server that
// does not answer in time is given a chance beside the next one. One thread.

namespace weft::dns {

class Forwarder {
 public:
  // Resolvers ask again after five seconds, so all tries are over by then.
  static constexpr size_t kTries = 3;
  static constexpr int64_t kTryTimeoutMs = 1'500;
  // Each takes a descriptor for every try.
  static constexpr size_t kMaxInFlight = 256;

  // All outlive it.
  Forwarder(event::Loop& loop, Upstream& upstream, observe::DnsStats& stats);
  // Who asked hears nothing any more.
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // For questions from now on. Of more than kTries the others are not asked, as resolvers do.
  void set_servers(std::vector<transport::Address> servers);

  // Called once, perhaps at once: the answer with the id of the question, or empty if there is none.
  using Done = std::function<void(std::string_view answer)>;
  // `message` is what `question` was read from.
  void ask(const Question& question, std::string_view message, Protocol protocol, Done done);

 private:
  class Query;
  event::Loop& loop_;
  Upstream& upstream_;
  observe::DnsStats& stats_;
  std::vector<transport::Address> servers_;
  base::IntrusiveList<Query, Query> queries_;
  size_t in_flight_ = 0;
};

}  // namespace weft::dns
