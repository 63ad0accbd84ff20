#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/xds/conversation.h"
#include "proxy/config/xds/duration.h"
#include "proxy/config/xds/type.h"
#include "tests/proxy/config/xds/recorder.h"

// A conversation whose peer is the test: what it says is parsed, what it is told is put together here.

namespace weft::config::xds {

using Names = std::vector<std::string>;

// A resource of any of our types holds its name in field 1.
inline google::protobuf::Any resource_of(Type type, std::string_view name) {
  google::protobuf::Any any;
  any.set_type_url(std::string(type_url(type)));
  any.set_value("\x0a" + std::string(1, static_cast<char>(name.size())) + std::string(name));
  return any;
}

inline google::protobuf::Any wrapped(const discovery_v3::Resource& resource) {
  google::protobuf::Any any;
  any.PackFrom(resource);
  return any;
}

struct ConversationFixture {
  explicit ConversationFixture(bool delta, ConversationOptions options = {}) {
    options.node.set_id("n1");
    conversation = delta ? make_delta_conversation(loop, consumer, std::move(options))
                         : make_sotw_conversation(loop, consumer, std::move(options));
  }
  void subscribe(Type type, Names names = {}, int64_t timeout_ms = kInitialFetchTimeoutMs) {
    conversation->subscribe(type, std::move(names), timeout_ms);
  }
  void reopen() {
    conversation->close();
    conversation->open();
  }
  template <typename Request>
  std::vector<Request> take() {
    std::vector<Request> requests;
    for (const std::string& bytes : conversation->take_requests()) {
      requests.emplace_back();
      REQUIRE(requests.back().ParseFromString(bytes));
    }
    return requests;
  }
  // The one request that there is to send.
  template <typename Request>
  Request take_one() {
    auto requests = take<Request>();
    REQUIRE(requests.size() == 1);
    return requests.front();
  }
  void receive(const google::protobuf::MessageLite& message) {
    REQUIRE(conversation->receive(message.SerializeAsString()).ok());
  }
  // Name to version, of what the consumer holds.
  std::map<std::string, std::string>& have(Type type) { return consumer.have[type]; }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  Recorder consumer;
  std::unique_ptr<Conversation> conversation;
};

inline Names names_of(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return {names.begin(), names.end()};
}

}  // namespace weft::config::xds
