#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/dns/dns_stats.h"
#include "proxy/dns/forwarder.h"
#include "proxy/dns/name_table.h"
#include "proxy/dns/resolv_conf.h"

// Answers an application's questions of DNS: from the table what the mesh knows, and for all else what the platform's
// servers say. Of a name in the table the mesh has the addresses, and no others: a family that it does not have is
// answered with none, so that nobody looks for it elsewhere. What else is asked of it, such as MX, is the platform's to
// say. One thread.

namespace weft::dns {

class Responder {
 public:
  // How long answers from the table may be kept by who asked: not long after a service has moved.
  static constexpr uint32_t kTtlS = 30;
  // Until the table is known nobody is told that a name does not exist; so long, and so many, wait.
  static constexpr int64_t kWaitMs = 4'000;
  static constexpr size_t kMaxWaiting = 256;

  // All outlive it.
  Responder(event::Loop& loop, Upstream& upstream, base::Random& random, observe::DnsStats& stats);

  void change_names(std::vector<NameChange> changes);
  // All names that there are have been told, or will not be in time.
  void set_known();
  // Servers among `own` are this responder itself, and are not asked.
  void set_platform(ResolvConf platform, const std::vector<transport::Address>& own);

  // Called once, perhaps at once, perhaps when whoever asked has gone. Empty: there is nothing to say.
  using Reply = std::function<void(std::string_view message)>;
  void on_message(std::string_view message, Protocol protocol, Reply reply);

 private:
  struct Waiting {
    std::string message;
    Protocol protocol;
    Reply reply;
  };
  void answer(const Question& question, std::string_view message, Protocol protocol, Reply reply);
  void forward(const Question& question, bool is_known, std::string_view message, Protocol protocol, Reply reply);
  void give_up_waiting();

  base::Random& random_;
  observe::DnsStats& stats_;
  Forwarder forwarder_;
  NameTable names_;
  bool known_ = false;
  std::vector<Waiting> waiting_;
  event::Timer waiting_timer_;
};

}  // namespace weft::dns
