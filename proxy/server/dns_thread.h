#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/config/dynamic/names.h"
#include "proxy/dns/dns_stats.h"
#include "proxy/dns/listener.h"
#include "proxy/dns/responder.h"

// The DNS responder's own thread: what an application asks waits neither for traffic nor for a configuration that is
// being compiled. Made and told what to do by the main thread.

namespace weft::server {

class DnsThread final : public config::NamePublisher {
 public:
  struct Options {
    std::vector<transport::Address> addresses;  // On which it listens, by UDP and TCP.
    std::string resolv_conf = "/etc/resolv.conf";
  };
  DnsThread(base::Clock& clock, uint64_t seed, Options options);
  ~DnsThread();

  // Listens, and starts. Errors name the address.
  absl::Status start();
  // Each of these is posted to the thread and returns at once; they keep their order.
  void change_names(std::vector<dns::NameChange> changes) override;
  void set_names_known() override;
  void stop();
  // To post to.
  event::Loop& loop() { return loop_; }
  const observe::FamilyBase& family() const override { return stats_; }
  // As bound.
  const std::vector<transport::Address>& addresses() const { return options_.addresses; }

 private:
  struct State;  // What lives on the thread.
  void run(std::vector<dns::Listener::Sockets> sockets);

  Options options_;
  observe::Family<observe::DnsStats> stats_;
  event::LibeventLoop loop_;
  base::Random random_;
  std::unique_ptr<State> state_;
  std::thread thread_;
};

}  // namespace weft::server
