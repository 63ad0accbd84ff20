#include "api/text/cat.h"
#include "proxy/config/xds/conversation.h"
#include "proxy/config/xds/type.h"

// The incremental half of the protocol: requests name what is newly wanted and no longer wanted, responses what changed
// and what is gone.

namespace weft::config::xds {
namespace {

constexpr char kWildcard[] = "*";

class DeltaConversation final : public Conversation {
 public:
  DeltaConversation(event::Loop& loop, Consumer& consumer, ConversationOptions options)
      : Conversation(loop, consumer, std::move(options)) {}

 private:
  // What was said on this stream of one type, and what is still to be said.
  struct Said {
    bool asked = false;
    // A name in both was given up and wanted again: its resource must come anew.
    std::set<std::string> subscribe;
    std::set<std::string> unsubscribe;
  };

  void on_open(Type type) override { said(type) = Said{}; }
  void on_names_changed(Type type, const std::vector<std::string>& added, const std::vector<std::string>& dropped,
                        bool was_wildcard) override;
  void ask(Type type) override;
  void ask_first(Type type);
  absl::Status on_message(std::string_view message) override;
  Said& said(Type type) { return said_[static_cast<size_t>(type)]; }
  discovery_v3::DeltaDiscoveryRequest begin(Type type);

  std::array<Said, kTypes> said_;
};

void DeltaConversation::on_names_changed(Type type, const std::vector<std::string>& added,
                                         const std::vector<std::string>& dropped, bool was_wildcard) {
  Said& said = this->said(type);
  // The first request says all.
  if (!said.asked) return;
  for (const std::string& name : added) {
    said.unsubscribe.erase(name);
    said.subscribe.insert(name);
  }
  for (const std::string& name : dropped) {
    said.subscribe.erase(name);
    said.unsubscribe.insert(name);
  }
  if (state(type).wildcard && !was_wildcard) said.subscribe.insert(kWildcard);
  if (!state(type).wildcard && was_wildcard) said.unsubscribe.insert(kWildcard);
}

discovery_v3::DeltaDiscoveryRequest DeltaConversation::begin(Type type) {
  discovery_v3::DeltaDiscoveryRequest request;
  if (const auto* node = node_to_send()) *request.mutable_node() = *node;
  request.set_type_url(std::string(type_url(type)));
  return request;
}

void DeltaConversation::ask_first(Type type) {
  const TypeState& state = this->state(type);
  if (!state.subscribed || (!state.wildcard && state.wanted.empty())) return;
  said(type).asked = true;
  discovery_v3::DeltaDiscoveryRequest request = begin(type);
  for (const std::string& name : state.wanted) request.add_resource_names_subscribe(name);
  for (const auto& [name, version] : state.held) (*request.mutable_initial_resource_versions())[name] = version;
  send(request);
}

void DeltaConversation::ask(Type type) {
  Said& said = this->said(type);
  if (!said.asked) return ask_first(type);
  if (said.subscribe.empty() && said.unsubscribe.empty()) return;
  discovery_v3::DeltaDiscoveryRequest request = begin(type);
  for (const std::string& name : said.subscribe) request.add_resource_names_subscribe(name);
  for (const std::string& name : said.unsubscribe) request.add_resource_names_unsubscribe(name);
  said.subscribe.clear();
  said.unsubscribe.clear();
  send(request);
}

absl::Status DeltaConversation::on_message(std::string_view message) {
  discovery_v3::DeltaDiscoveryResponse parsed;
  if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return absl::InvalidArgumentError("a message that is no valid envoy.service.discovery.v3.DeltaDiscoveryResponse");
  }
  if (parsed.has_control_plane()) server_name_ = parsed.control_plane().identifier();
  std::optional<Type> type = expected_type(parsed.type_url());
  if (!type) return absl::OkStatus();
  Response response;
  response.type = *type;
  response.version = parsed.system_version_info();
  for (const auto& each : parsed.resources()) response.received.push_back(read_delta(*type, each));
  for (const auto& name : parsed.removed_resources()) response.removed.push_back(name);
  for (const auto& each : parsed.removed_resource_names()) response.removed.push_back(each.name());
  for (const auto& each : parsed.resource_errors()) {
    response.errors.emplace_back(each.resource_name().name(), each.error_detail().message());
  }
  std::vector<Refusal> refusals = apply(std::move(response));
  discovery_v3::DeltaDiscoveryRequest answer = begin(*type);
  answer.set_response_nonce(parsed.nonce());
  if (!refusals.empty()) *answer.mutable_error_detail() = refuse(*type, parsed.system_version_info(), refusals);
  send(answer);
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Conversation> make_delta_conversation(event::Loop& loop, Consumer& consumer,
                                                      ConversationOptions options) {
  return std::make_unique<DeltaConversation>(loop, consumer, std::move(options));
}

}  // namespace weft::config::xds
