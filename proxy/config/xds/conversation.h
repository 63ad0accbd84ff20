#pragma once

#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "envoy/config/core/v3/base.pb.h"
#include "google/rpc/status.pb.h"
#include "proxy/config/xds/deadlines.h"
#include "proxy/config/xds/resource.h"
#include "proxy/config/xds/subscription.h"

// What is said on an xDS stream, without the stream: serialised messages in, serialised messages out, updates to the
// consumer in between. Outlives its streams: what is held and accepted is told again on the next one. The xDS
// protocol's "transport protocol"; SotW and delta differ only in the messages. Main thread.

namespace weft::config::xds {

struct ConversationOptions {
  envoy::config::core::v3::Node node;
  // False: every request carries the node, not only a stream's first (ApiConfigSource.set_node_on_first_message_only).
  bool node_on_first_only = true;
};

class Conversation {
 public:
  virtual ~Conversation() = default;
  // As Source::subscribe(). Also while there is no stream. The consumer is kept waiting for what is new among the names
  // no longer than `initial_fetch_timeout_ms`; 0: for ever.
  void subscribe(Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms);
  // A stream was opened: take_requests() has the first ones.
  void open();
  // The stream is gone. What was not taken of the requests is forgotten.
  void close();
  // A message of the peer's. An error: it is none, and the stream is of no more use.
  absl::Status receive(std::string_view message);
  // What is to be sent now, in order; empty without a stream.
  std::vector<std::string> take_requests();
  // For log lines: who is talked to from now on, "control plane \"x\"".
  void name_peer(std::string peer) { peer_ = std::move(peer); }
  // How the server calls itself (ControlPlane.identifier); empty before it said so.
  const std::string& server_name() const { return server_name_; }

 protected:
  // One type's share.
  struct TypeState {
    bool subscribed = false;
    bool wildcard = false;
    bool unanswered = false;  // All is wanted, and the server has not said yet what that is.
    std::string version;      // Of the last response that was accepted as a whole.
    std::set<std::string, std::less<>> wanted;
    // By name, the version in force of what was accepted.
    std::map<std::string, std::string, std::less<>> held;
  };
  // What a response says of one type, SotW or delta.
  struct Response {
    Type type;
    std::string version;
    std::vector<Received> received;
    std::vector<std::string> removed;
    bool whole = false;  // What is held and not in it is gone.
    // The server's own word that it cannot give them.
    std::vector<std::pair<std::string, std::string>> errors;
  };

  Conversation(event::Loop& loop, Consumer& consumer, ConversationOptions options);

  virtual void on_open(Type type) = 0;
  virtual void on_names_changed(Type type, const std::vector<std::string>& added,
                                const std::vector<std::string>& dropped, bool was_wildcard) = 0;
  virtual absl::Status on_message(std::string_view message) = 0;
  // Adds what the subscription of this type wants said.
  virtual void ask(Type type) = 0;

  // Gives the consumer what can be taken. What was refused, by it or before.
  std::vector<Refusal> apply(Response response);
  // Empty, with a line in the log: nobody asked for this type.
  std::optional<Type> expected_type(const std::string& url);
  bool is_open() const { return open_; }
  TypeState& state(Type type) { return states_[static_cast<size_t>(type)]; }
  // The node, if this request is to carry it.
  const envoy::config::core::v3::Node* node_to_send();
  void send(const google::protobuf::MessageLite& request);
  // The error_detail of a refused response; logs it, too.
  google::rpc::Status refuse(Type type, std::string_view version, const std::vector<Refusal>& refusals);
  std::string server_name_;

 private:
  // What of a resource outlasts handing it to the consumer.
  struct Given {
    std::string name;
    std::string version;
    std::optional<int64_t> ttl_ms;
  };
  void note_held(Type type, const std::vector<Given>& given, const std::vector<Refusal>& refusals);
  void take_errors(Type type, const std::vector<std::pair<std::string, std::string>>& errors);
  // Whether names that are gone, by a response that names others, are to be held on to for now.
  bool keeps_for_now(Type type, const std::vector<std::string>& lost,
                     const std::set<std::string, std::less<>>& present);
  // The first answer of this type on the stream has come.
  void heard_of(Type type);
  void drop_kept();
  void on_fetch_timeouts(std::vector<Deadlines::Key> due);
  void on_expired(std::vector<Deadlines::Key> due);

  Consumer& consumer_;
  std::string peer_ = "control plane";
  ConversationOptions options_;
  Deadlines fetches_;
  Deadlines lifetimes_;
  std::array<TypeState, kTypes> states_;
  // On this stream nothing has come yet of these types, which name clusters; and clusters that go when it has.
  std::set<Type> unheard_;
  std::set<std::string> kept_clusters_;
  event::Timer kept_timer_;
  std::vector<std::string> requests_;
  bool open_ = false;
  bool node_sent_ = false;
};

std::unique_ptr<Conversation> make_sotw_conversation(event::Loop& loop, Consumer& consumer,
                                                     ConversationOptions options);
std::unique_ptr<Conversation> make_delta_conversation(event::Loop& loop, Consumer& consumer,
                                                      ConversationOptions options);

}  // namespace weft::config::xds
