#include "api/text/cat.h"
#include "proxy/config/xds/conversation.h"
#include "proxy/config/xds/type.h"

// The state-of-the-world half of the protocol: every request names all that is wanted, every response of listeners and
// clusters holds all that there is.

namespace weft::config::xds {
namespace {

class SotwConversation final : public Conversation {
 public:
  SotwConversation(event::Loop& loop, Consumer& consumer, ConversationOptions options)
      : Conversation(loop, consumer, std::move(options)) {}

 private:
  using Names = std::set<std::string, std::less<>>;
  // What was said on this stream of one type.
  struct Said {
    std::string nonce;  // Of the last response.
    bool asked = false;
    bool named = false;  // Names were sent, after which no names no longer mean all.
    bool due = false;    // Something is to be asked that was not yet.
    // Names that were given up since the last request.
    Names dropped;
  };

  void on_open(Type type) override {
    said(type) = Said{};
    said(type).due = wanted(type);
  }
  void on_names_changed(Type type, const std::vector<std::string>& added, const std::vector<std::string>& dropped,
                        bool) override;
  void ask(Type type) override {
    if (said(type).due) request(type, nullptr);
  }
  absl::Status on_message(std::string_view message) override;

  bool wanted(Type type) { return state(type).subscribed && (state(type).wildcard || !state(type).wanted.empty()); }
  // The version in force; none if something is wanted that never came, which a server that believes us up to date would
  // not send.
  std::string version(Type type) {
    const TypeState& state = this->state(type);
    if (said(type).asked) return state.version;
    for (const std::string& name : state.wanted) {
      if (state.held.count(name) == 0) return "";
    }
    return state.version;
  }
  void request(Type type, const google::rpc::Status* error, const Names& without = {});
  Said& said(Type type) { return said_[static_cast<size_t>(type)]; }

  std::array<Said, kTypes> said_;
};

void SotwConversation::on_names_changed(Type type, const std::vector<std::string>& added,
                                        const std::vector<std::string>& dropped, bool) {
  Said& said = this->said(type);
  // A name given up and wanted again must be seen to go, or the server has no reason to send its resource anew.
  Names again;
  for (const std::string& name : added) {
    if (said.dropped.erase(name) != 0) again.insert(name);
  }
  if (!again.empty()) request(type, nullptr, again);
  if (said.asked) said.dropped.insert(dropped.begin(), dropped.end());
  said.due = wanted(type) || said.asked;
}

void SotwConversation::request(Type type, const google::rpc::Status* error, const Names& without) {
  Said& said = this->said(type);
  const TypeState& state = this->state(type);
  discovery_v3::DiscoveryRequest request;
  if (const auto* node = node_to_send()) *request.mutable_node() = *node;
  request.set_type_url(std::string(type_url(type)));
  request.set_version_info(version(type));
  request.set_response_nonce(said.nonce);
  for (const std::string& name : state.wanted) {
    if (without.count(name) == 0) request.add_resource_names(name);
  }
  if (state.wildcard && said.named) request.add_resource_names("*");
  if (error != nullptr) *request.mutable_error_detail() = *error;
  said.asked = true;
  said.named |= !state.wanted.empty();
  said.due = false;
  said.dropped.clear();
  send(request);
}

absl::Status SotwConversation::on_message(std::string_view message) {
  discovery_v3::DiscoveryResponse parsed;
  if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return absl::InvalidArgumentError("a message that is no valid envoy.service.discovery.v3.DiscoveryResponse");
  }
  if (parsed.has_control_plane()) server_name_ = parsed.control_plane().identifier();
  std::optional<Type> type = expected_type(parsed.type_url());
  if (!type) return absl::OkStatus();
  Response response;
  response.type = *type;
  response.version = parsed.version_info();
  response.whole = type_info(*type).whole;
  for (const auto& each : parsed.resources()) {
    response.received.push_back(read_sotw(*type, each, parsed.version_info()));
  }
  for (const auto& each : parsed.resource_errors()) {
    response.errors.emplace_back(each.resource_name().name(), each.error_detail().message());
  }
  said(*type).nonce = parsed.nonce();
  std::vector<Refusal> refusals = apply(std::move(response));
  if (refusals.empty()) {
    request(*type, nullptr);
  } else {
    google::rpc::Status error = refuse(*type, parsed.version_info(), refusals);
    request(*type, &error);
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Conversation> make_sotw_conversation(event::Loop& loop, Consumer& consumer,
                                                     ConversationOptions options) {
  return std::make_unique<SotwConversation>(loop, consumer, std::move(options));
}

}  // namespace weft::config::xds
