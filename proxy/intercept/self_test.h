#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/intercept/rules.h"
#include "proxy/transport/socket.h"

// Proves from inside that the rules are in force: connects to kSelfTestPort of the addresses that lead outbound and
// inbound, and sees that each connection arrives at the port of the sidecar, with the destination that it had. Until
// that is so, it tries again. It listens on those ports itself meanwhile, so it comes before the listeners that serve
// there. What is to bring questions to the DNS responder, which must serve already, it asks one and awaits the answer.
// Main thread.

namespace weft::intercept {

class SelfTest {
 public:
  struct Options {
    uint16_t outbound_port = 15001;
    uint16_t inbound_port = 15006;  // 0: nothing inbound is taken.
    uint16_t dns_port = 0;          // 0: no questions are taken.
    // This host's own, one of each family that it has; not of loopback. Only these families are tested.
    std::vector<transport::Address> own;
  };
  // `on_passed` is called once, in a turn of its own; nothing listens any more then.
  SelfTest(event::LibeventLoop& loop, Options options, std::function<void()> on_passed);
  ~SelfTest();
  SelfTest(const SelfTest&) = delete;
  SelfTest& operator=(const SelfTest&) = delete;
  void start();
  // For a person: what is not taken yet, or why it cannot be tested.
  const std::string& lacks() const { return lacks_; }

 private:
  struct Listener;
  struct Question;
  struct Probe {
    transport::Address to;
    bool inbound = false;
    bool arrived = false;
    transport::Descriptor client;
    int error = 0;  // Of the start of connecting.
  };
  void attempt();
  void judge();
  absl::Status listen();
  void connect();
  void ask();
  void accepted(const transport::Descriptor& connection, const Listener& listener);
  void judge_if_over();
  std::string missing_connection(const Probe& probe) const;
  std::string missing_answer(const Question& question) const;

  event::LibeventLoop& loop_;
  const Options options_;
  std::function<void()> on_passed_;
  std::string lacks_ = "the rules of interception were not tested yet";
  std::vector<Probe> probes_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Question>> questions_;
  event::Timer judge_timer_;
  event::Timer attempt_timer_;
  bool told_ = false;  // lacks_ stands in the log.
};

// The first address of global scope in a /proc/net/if_inet6; family kNone if there is none.
transport::Address global_ipv6_of(const std::string& if_inet6);

}  // namespace weft::intercept
