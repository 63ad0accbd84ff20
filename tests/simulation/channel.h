#pragma once

// A proxy's stream to the control plane and those that follow it: the real conversation and backoff, over a simulated
// link, as proxy/config/xds/grpc_source.cc does it over gRPC. One thread.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/config/xds/conversation.h"
#include "proxy/config/xds/pace.h"
#include "tests/simulation/link.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Channel final : private Link::End, private event::TurnEndTask {
 public:
  struct Options {
    std::string name;
    bool delta = false;
    // Its refusals do not say which resources are meant, as those of other clients may.
    bool vague = false;
    // Requests may be limited as by RateLimitSettings.
    std::optional<config::xds::TokenBucket> rate;
    int64_t backoff_base_ms = 500;
    int64_t backoff_max_ms = 30'000;
    config::xds::ConversationOptions conversation;
  };
  // Calls the control plane; the link comes back opened, or, if nobody is there, null.
  using Call = std::function<void(const LinkPointer& link, std::function<void(bool accepted)> answer)>;

  Channel(World& world, config::xds::Consumer& consumer, Options options, Call call);
  ~Channel();

  void subscribe(config::xds::Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms);
  bool open() const { return open_; }
  // Null while there is none.
  Link* link() { return link_.get(); }
  void set_read_delay_us(int64_t us);
  // The stream breaks in the network.
  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us);
  size_t unsent() const { return unsent_.size(); }

 private:
  void connect();
  void opened();
  void ended();
  void on_message(const std::string& bytes) override;
  void on_room() override { update_pause(); }
  void on_closed() override { ended(); }
  void on_turn_end() override;
  void update_pause();
  std::string made_vague(const std::string& request) const;

  World& world_;
  Options options_;
  Call call_;
  std::unique_ptr<config::xds::Conversation> conversation_;
  config::xds::Backoff backoff_;
  event::Timer retry_timer_;
  event::Timer send_timer_;
  LinkPointer link_;
  uint64_t connections_ = 0;
  std::deque<std::string> unsent_;
  int64_t read_delay_us_ = 0;
  bool started_ = false;
  bool open_ = false;
  bool heard_ = false;
};

}  // namespace weft::simulation
