#include "proxy/intercept/self_test.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "api/text/cat.h"
#include "proxy/base/log.h"

namespace weft::intercept {
namespace {

using text::cat;
using transport::Address;
using transport::Descriptor;

// A connection within one host that takes longer was dropped.
constexpr int64_t kArrivalMs = 1'000;
constexpr int64_t kPauseMs = 500;
constexpr int kAcceptedAtOnce = 64;

}  // namespace

struct SelfTest::Listener final : event::IoEvents {
  Listener(SelfTest& test, Descriptor fd, Address::Family family, bool inbound)
      : test(test), fd(std::move(fd)), family(family), inbound(inbound) {
    watch.start_level(test.loop_, this->fd.get(), *this, true, false);
  }
  void on_io(bool, bool) override {
    for (int i = 0; i < kAcceptedAtOnce; ++i) {
      Address peer;
      int error = 0;
      Descriptor connection = transport::accept_connection(fd.get(), &peer, &error);
      if (!connection.open()) return;
      test.accepted(connection, *this);
    }
  }
  SelfTest& test;
  Descriptor fd;
  Address::Family family;
  bool inbound;
  event::IoWatch watch;
};

SelfTest::SelfTest(event::LibeventLoop& loop, Options options, std::function<void()> on_passed)
    : loop_(loop),
      options_(std::move(options)),
      on_passed_(std::move(on_passed)),
      judge_timer_(loop.timers(), base::bind<&SelfTest::judge>(this)),
      attempt_timer_(loop.timers(), base::bind<&SelfTest::attempt>(this)) {}

SelfTest::~SelfTest() = default;

void SelfTest::start() { attempt_timer_.arm(0); }

void SelfTest::attempt() {
  probes_.clear();
  for (const Address& own : options_.own) {
    bool ipv6 = own.family == Address::Family::kIpv6;
    probes_.push_back({Address::parse_ip(ipv6 ? kPassIpv6 : kPassIpv4, kSelfTestPort), false, false, {}, 0});
    if (options_.inbound_port == 0) continue;
    probes_.push_back({own, true, false, {}, 0});
    probes_.back().to.port = kSelfTestPort;
  }
  if (absl::Status status = listen(); status.ok()) {
    connect();
  } else {
    lacks_ = cat("the rules of interception cannot be tested: ", status.message());
  }
  judge_timer_.arm(listeners_.empty() ? 0 : kArrivalMs);
}

// Outbound connections are redirected to loopback, inbound ones to whatever address the host has.
absl::Status SelfTest::listen() {
  for (const Probe& probe : probes_) {
    bool ipv6 = probe.to.family == Address::Family::kIpv6;
    Address at = probe.inbound ? Address::parse_ip(ipv6 ? "::" : "0.0.0.0", options_.inbound_port)
                               : Address::parse_ip(ipv6 ? "::1" : "127.0.0.1", options_.outbound_port);
    absl::StatusOr<Descriptor> socket = transport::listen_on(at, {});
    if (!socket.ok()) {
      listeners_.clear();
      return socket.status();
    }
    listeners_.push_back(std::make_unique<Listener>(*this, *std::move(socket), probe.to.family, probe.inbound));
  }
  return absl::OkStatus();
}

void SelfTest::connect() {
  for (Probe& probe : probes_) probe.client = transport::start_connect(probe.to, {}, &probe.error);
}

void SelfTest::accepted(const Descriptor& connection, const Listener& listener) {
  Address destination;
  if (!transport::original_destination(connection.get(), listener.family, &destination)) return;
  for (Probe& probe : probes_) {
    if (probe.inbound == listener.inbound && probe.to == destination) probe.arrived = true;
  }
  bool all = std::all_of(probes_.begin(), probes_.end(), [](const Probe& probe) { return probe.arrived; });
  // Not from within the listener, which goes.
  if (all) judge_timer_.arm(0);
}

void SelfTest::judge() {
  bool tested = !listeners_.empty();
  listeners_.clear();
  auto missing = std::find_if(probes_.begin(), probes_.end(), [](const Probe& probe) { return !probe.arrived; });
  if (tested && missing == probes_.end()) {
    probes_.clear();
    lacks_.clear();
    base::log_info("interception: connections of this network namespace are taken");
    return on_passed_();
  }
  if (tested) {
    int error = missing->client.open() ? transport::take_socket_error(missing->client.get()) : missing->error;
    lacks_ = cat("connections of this network namespace are not taken: a test of ",
                 missing->inbound ? "inbound" : "outbound", " ones, to ", missing->to.to_string(),
                 ", did not arrive at port ", missing->inbound ? options_.inbound_port : options_.outbound_port,
                 missing->inbound ? cat(", for user ", geteuid()) : "",
                 error == 0 ? "" : cat(" (", transport::socket_error_text(error), ")"),
                 "; `weft-proxy intercept` writes the rules");
  }
  if (!told_) base::log_warning(lacks_);
  told_ = true;
  probes_.clear();
  attempt_timer_.arm(kPauseMs);
}

Address global_ipv6_of(const std::string& if_inet6) {
  constexpr size_t kDigits = 32;
  std::istringstream lines(if_inet6);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string digits, index, bits, scope, flags, name;
    if (!(words >> digits >> index >> bits >> scope >> flags >> name) || digits.size() != kDigits) continue;
    if (scope != "00" || name == "lo") continue;
    std::string text;
    for (size_t i = 0; i < kDigits; i += 4) text += (i == 0 ? "" : ":") + digits.substr(i, 4);
    return Address::parse_ip(text, 0);
  }
  return {};
}

}  // namespace weft::intercept
