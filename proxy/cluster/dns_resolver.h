#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/cluster/cluster.h"
#include "proxy/event/loop.h"

// Names to addresses, by c-ares on the main thread's loop: never blocks. /etc/hosts and literal addresses count too.

namespace weft::cluster {

struct DnsAnswer {
  std::vector<transport::Address> addresses;  // Port 0. Empty: the name has none of this family.
  int64_t ttl_s = 0;                          // The least of the records'; 0: none said.
};

class DnsResolver {
 public:
  // `servers` empty: those of /etc/resolv.conf.
  static absl::StatusOr<std::unique_ptr<DnsResolver>> make(event::LibeventLoop& loop,
                                                           const std::vector<transport::Address>& servers);
  virtual ~DnsResolver() = default;
  // `done` is called once, in a later turn or at once, unless the resolver goes first. Errors: time-out, server
  // failure.
  virtual void resolve(const std::string& name, DnsFamily family,
                       std::function<void(absl::StatusOr<DnsAnswer>)> done) = 0;
};

}  // namespace weft::cluster
