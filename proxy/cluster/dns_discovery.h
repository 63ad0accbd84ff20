#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/cluster/dns_resolver.h"

// Keeps a DNS cluster's endpoints fresh (STRICT_DNS: every address of every name; LOGICAL_DNS: the first address of the
// one name). A failed or empty answer leaves the last one in force. Main thread.

namespace weft::cluster {

class DnsDiscovery {
 public:
  // `on_ready` is called once, when every name was answered or failed for the first time.
  DnsDiscovery(event::Loop& loop, base::Random& random, DnsResolver& resolver, ClusterPtr cluster,
               std::function<void()> on_ready);
  void start();

 private:
  struct Name {
    Name(DnsDiscovery& owner, const DnsEndpoint& endpoint);
    void ask();
    void on_timer() { ask(); }
    DnsDiscovery& owner;
    const DnsEndpoint& endpoint;
    std::vector<transport::Address> addresses;
    uint32_t failures = 0;
    bool answered = false;
    event::Timer timer;
  };
  void on_answer(Name& name, absl::StatusOr<DnsAnswer> answer);
  void publish();

  event::Loop& loop_;
  base::Random& random_;
  DnsResolver& resolver_;
  ClusterPtr cluster_;
  std::function<void()> on_ready_;
  std::vector<std::unique_ptr<Name>> names_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Hosts that stay are the same objects, so that they keep their health and load.
  std::map<std::pair<std::string, uint32_t>, HostPtr> hosts_;
};

}  // namespace weft::cluster
