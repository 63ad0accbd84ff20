#include "proxy/intercept/self_test.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string_view>

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

// A DNS message that every server answers at once and no other asks: a status query (RFC 1035, 4.1.1), with no more
// than a header. The answer has the same id and says that it is one.
constexpr std::string_view kQuestion("\x57\x45\x10\0\0\0\0\0\0\0\0\0", 12);
constexpr size_t kMostAnswerBytes = 512;

bool is_answer(std::string_view message) {
  return message.size() >= kQuestion.size() && message.substr(0, 2) == kQuestion.substr(0, 2) &&
         (static_cast<uint8_t>(message[2]) & 0x80) != 0;
}

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

struct SelfTest::Question final : event::IoEvents {
  Question(SelfTest& test, const Address& to) : test(test), to(to), fd(transport::connect_datagrams(to, &error)) {
    if (!fd.open()) return;
    watch.start_level(test.loop_, fd.get(), *this, true, false);
    if (transport::send_datagram(fd.get(), kQuestion, to) < 0) error = errno;
  }
  void on_io(bool, bool) override {
    std::array<char, kMostAnswerBytes> room;
    const ssize_t size = transport::receive_datagram(fd.get(), room, nullptr);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < 0) {
      error = errno;
    } else if (static_cast<size_t>(size) <= room.size()) {
      answered = is_answer({room.data(), static_cast<size_t>(size)});
    }
    if (answered || size < 0) watch.stop();
    test.judge_if_over();
  }
  SelfTest& test;
  const Address to;
  int error = 0;
  Descriptor fd;
  bool answered = false;
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
  questions_.clear();
  for (const Address& own : options_.own) {
    bool ipv6 = own.family == Address::Family::kIpv6;
    probes_.push_back({Address::parse_ip(ipv6 ? kPassIpv6 : kPassIpv4, kSelfTestPort), false, false, {}, 0});
    if (options_.inbound_port == 0) continue;
    probes_.push_back({own, true, false, {}, 0});
    probes_.back().to.port = kSelfTestPort;
  }
  if (absl::Status status = listen(); status.ok()) {
    connect();
    ask();
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
  judge_if_over();
}

void SelfTest::ask() {
  if (options_.dns_port == 0) return;
  for (const Address& own : options_.own) {
    bool ipv6 = own.family == Address::Family::kIpv6;
    Address to = Address::parse_ip(ipv6 ? kPassIpv6 : kPassIpv4, kSelfTestPort);
    questions_.push_back(std::make_unique<Question>(*this, to));
  }
}

void SelfTest::judge_if_over() {
  bool all = std::ranges::all_of(probes_, &Probe::arrived) &&
             std::ranges::all_of(questions_, [](const auto& question) { return question->answered; });
  // Not from within a listener or a question, which go.
  if (all) judge_timer_.arm(0);
}

std::string SelfTest::missing_connection(const Probe& probe) const {
  int error = probe.client.open() ? transport::take_socket_error(probe.client.get()) : probe.error;
  return cat("connections of this network namespace are not taken: a test of ", probe.inbound ? "inbound" : "outbound",
             " ones, to ", probe.to.to_string(), ", did not arrive at port ",
             probe.inbound ? options_.inbound_port : options_.outbound_port,
             probe.inbound ? cat(", for user ", geteuid()) : "",
             error == 0 ? "" : cat(" (", transport::socket_error_text(error), ")"),
             "; `weft-proxy intercept` writes the rules");
}

std::string SelfTest::missing_answer(const Question& question) const {
  return cat("questions of DNS of this network namespace are not taken: a test, by UDP to ", question.to.to_string(),
             ", was not answered from port ", options_.dns_port,
             question.error == 0 ? "" : cat(" (", transport::socket_error_text(question.error), ")"),
             "; `weft-proxy intercept --redirect-dns` writes the rules");
}

void SelfTest::judge() {
  bool tested = !listeners_.empty();
  listeners_.clear();
  auto missing = std::ranges::find(probes_, false, &Probe::arrived);
  auto unanswered = std::ranges::find_if(questions_, [](const auto& question) { return !question->answered; });
  if (tested) {
    lacks_ = missing != probes_.end()         ? missing_connection(*missing)
             : unanswered != questions_.end() ? missing_answer(**unanswered)
                                              : "";
  }
  probes_.clear();
  questions_.clear();
  if (lacks_.empty()) {
    base::log_info(cat("interception: connections ", options_.dns_port == 0 ? "" : "and questions of DNS ",
                       "of this network namespace are taken"));
    return on_passed_();
  }
  if (!told_) base::log_warning(lacks_);
  told_ = true;
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
