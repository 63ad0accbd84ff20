#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/dns/upstream.h"

// Servers of a test's own: it sees what was asked of which, and answers when it likes.

namespace weft::dns {

class FakeUpstream final : public Upstream {
 public:
  struct Asked {
    transport::Address server;
    Protocol protocol;
    std::string message;
    UpstreamQuery::Events* events;  // nullptr: nothing more is wanted.
  };
  std::unique_ptr<UpstreamQuery> ask(const transport::Address& server, Protocol protocol, std::string_view message,
                                     UpstreamQuery::Events& events) override {
    asked.push_back({server, protocol, std::string(message), &events});
    return std::make_unique<Query>(*this, asked.size() - 1);
  }
  uint16_t next_id() override { return ++last_id; }

  std::vector<Asked> asked;
  uint16_t last_id = 1000;

 private:
  struct Query final : UpstreamQuery {
    Query(FakeUpstream& owner, size_t index) : owner(owner), index(index) {}
    ~Query() override { owner.asked[index].events = nullptr; }
    FakeUpstream& owner;
    size_t index;
  };
};

}  // namespace weft::dns
