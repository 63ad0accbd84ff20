#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/transport/byte_stream.h"

// A DNS server (RFC 1035) on a free loopback port, UDP and TCP, that answers as a test says. On the test's own loop.

namespace weft::cluster {

struct DnsRecord {
  uint16_t type;
  uint32_t ttl_s;
  std::string data;
};

inline DnsRecord a(const char* ip, uint32_t ttl_s) {
  std::string data(4, '\0');
  inet_pton(AF_INET, ip, data.data());
  return {1, ttl_s, data};
}
inline DnsRecord aaaa(const char* ip, uint32_t ttl_s) {
  std::string data(16, '\0');
  inet_pton(AF_INET6, ip, data.data());
  return {28, ttl_s, data};
}

struct DnsQuestion {
  std::string name;
  uint16_t type = 0;
  bool tcp = false;
};

struct DnsReply {
  enum Code : uint8_t { kOk = 0, kServerFailure = 2, kNoSuchName = 3 };
  std::vector<DnsRecord> records;
  Code code = kOk;
  bool truncated = false;
  std::vector<std::string> datagrams_before;  // Sent first, as they are.
  std::string bytes_instead_of_records;
};

class DnsServer final : private event::IoEvents {
 public:
  DnsServer(event::LibeventLoop& loop, std::function<DnsReply(const DnsQuestion&)> decide)
      : loop_(loop), decide_(std::move(decide)) {
    // A port that is free for datagrams may be taken for streams.
    constexpr int kMostTries = 100;
    for (int i = 0; i < kMostTries && tcp_ < 0; ++i) {
      if (udp_ >= 0) close(udp_);
      udp_ = bound(SOCK_DGRAM, 0);
      socklen_t size = sizeof(address_);
      REQUIRE(getsockname(udp_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
      tcp_ = bound(SOCK_STREAM, ntohs(address_.sin_port));
    }
    REQUIRE(tcp_ >= 0);
    REQUIRE(listen(tcp_, 8) == 0);
    udp_watch_.start_level(loop_, udp_, *this, true, false);
    accepting_.watch.start_level(loop_, tcp_, accepting_, true, false);
  }
  ~DnsServer() {
    udp_watch_.stop();
    accepting_.watch.stop();
    close(udp_);
    close(tcp_);
  }
  transport::Address address() const { return transport::Address::parse_ip("127.0.0.1", ntohs(address_.sin_port)); }

  std::vector<DnsQuestion> questions;

 private:
  struct Accepting final : event::IoEvents {
    explicit Accepting(DnsServer& owner) : owner(owner) {}
    void on_io(bool, bool) override { owner.accept_one(); }
    DnsServer& owner;
    event::IoWatch watch;
  };
  struct Connection final : event::IoEvents {
    Connection(DnsServer& owner, int fd) : owner(owner), fd(fd) {}
    ~Connection() {
      watch.stop();
      close(fd);
    }
    void on_io(bool, bool) override {
      char bytes[2048];
      ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
      if (n <= 0) return watch.stop();
      query.append(bytes, static_cast<size_t>(n));
      // Two bytes of length come first (RFC 1035, 4.2.2).
      if (query.size() < 2 || query.size() < 2 + owner.number(query, 0)) return;
      std::string answer = owner.answer(query.substr(2), true).back();
      std::string framed = owner.text(static_cast<uint16_t>(answer.size())) + answer;
      CHECK(send(fd, framed.data(), framed.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(framed.size()));
      query.clear();
    }
    DnsServer& owner;
    int fd;
    std::string query;
    event::IoWatch watch;
  };

  // -1: another has the port.
  static int bound(int type, uint16_t port) {
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) return fd;
    close(fd);
    return -1;
  }
  static uint16_t number(std::string_view bytes, size_t at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
  }
  static std::string text(uint16_t number) { return {static_cast<char>(number >> 8), static_cast<char>(number)}; }

  void on_io(bool, bool) override {
    char bytes[2048];
    sockaddr_in from = {};
    socklen_t size = sizeof(from);
    ssize_t n = recvfrom(udp_, bytes, sizeof(bytes), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n <= 0) return;
    for (const std::string& each : answer({bytes, static_cast<size_t>(n)}, false)) {
      sendto(udp_, each.data(), each.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  void accept_one() {
    int fd = accept4(tcp_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    connections_.push_back(std::make_unique<Connection>(*this, fd));
    connections_.back()->watch.start_level(loop_, fd, *connections_.back(), true, false);
  }
  // What is sent for one query; the answer itself comes last.
  std::vector<std::string> answer(const std::string& query, bool tcp) {
    DnsQuestion question;
    question.tcp = tcp;
    size_t at = 12;
    while (query[at] != '\0') {
      if (!question.name.empty()) question.name += '.';
      auto length = static_cast<uint8_t>(query[at]);
      question.name += query.substr(at + 1, length);
      at += 1 + length;
    }
    question.type = number(query, at + 1);
    size_t end = at + 5;
    questions.push_back(question);
    DnsReply reply = decide_(question);
    uint16_t flags = static_cast<uint16_t>(0x8180 | reply.code | (reply.truncated && !tcp ? 0x0200 : 0));
    bool hostile = !reply.bytes_instead_of_records.empty();
    auto count = static_cast<uint16_t>(hostile ? 1 : reply.records.size());
    std::string out = query.substr(0, 2) + text(flags) + text(1) + text(count) + text(0) + text(0);
    out += query.substr(12, end - 12) + reply.bytes_instead_of_records;
    for (const DnsRecord& record : reply.records) {
      // The name is a pointer to the question's.
      out += text(0xc00c) + text(record.type) + text(1) + text(static_cast<uint16_t>(record.ttl_s >> 16)) +
             text(static_cast<uint16_t>(record.ttl_s)) + text(static_cast<uint16_t>(record.data.size())) + record.data;
    }
    std::vector<std::string> all = reply.datagrams_before;
    all.push_back(out);
    return all;
  }

  event::LibeventLoop& loop_;
  std::function<DnsReply(const DnsQuestion&)> decide_;
  int udp_ = -1, tcp_ = -1;
  sockaddr_in address_ = {};
  event::IoWatch udp_watch_;
  Accepting accepting_{*this};
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace weft::cluster
