#include "control-plane/registry/status.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <vector>

namespace weft::control::registry {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using kubernetes::meta::v1::Condition;

// Calls visit(condition, its twin in `before` or null) for each condition at any depth below `message`.
template <typename Visit>
void for_each_condition(const Message* before, Message* message, const Visit& visit) {
  if (message->GetDescriptor() == Condition::descriptor()) {
    return visit(static_cast<Condition*>(message), static_cast<const Condition*>(before));
  }
  const auto& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      const Message* twin = before == nullptr ? nullptr : &reflection.GetMessage(*before, field);
      for_each_condition(twin, reflection.MutableMessage(message, field), visit);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
      const bool has_twin = before != nullptr && i < reflection.FieldSize(*before, field);
      const Message* twin = has_twin ? &reflection.GetRepeatedMessage(*before, field, i) : nullptr;
      for_each_condition(twin, reflection.MutableRepeatedMessage(message, field, i), visit);
    }
  }
}

}  // namespace

void add_condition(const ConditionText& text, uint32_t generation, Conditions* conditions) {
  Condition* condition = conditions->Add();
  condition->set_type(text.type);
  condition->set_status(text.holds ? "True" : "False");
  condition->set_reason(text.reason);
  condition->set_message(text.message);
  condition->set_observed_generation(generation);
}

void set_transition_times(const Message* before, int64_t now_ms, Message* status) {
  const auto now = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(now_ms);
  for_each_condition(before, status, [&](Condition* condition, const Condition* twin) {
    const bool same = twin != nullptr && twin->type() == condition->type() && twin->status() == condition->status();
    *condition->mutable_last_transition_time() = same ? twin->last_transition_time() : now;
  });
}

std::unique_ptr<Message> with_status(const Message& content, const Message* status) {
  std::unique_ptr<Message> out(content.New());
  out->CopyFrom(content);
  const FieldDescriptor* field = content.GetDescriptor()->FindFieldByName("status");
  if (status != nullptr && field != nullptr) out->GetReflection()->MutableMessage(out.get(), field)->CopyFrom(*status);
  return out;
}

std::vector<std::string> warnings_of(const Message& status) {
  std::unique_ptr<Message> copy(status.New());
  copy->CopyFrom(status);
  std::vector<std::string> out;
  for_each_condition(nullptr, copy.get(), [&](Condition* condition, const Condition*) {
    if (condition->status() == "True") return;
    std::string line = condition->type() + " is False, " + condition->reason() + ": " + condition->message();
    if (std::find(out.begin(), out.end(), line) == out.end()) out.push_back(std::move(line));
  });
  return out;
}

std::string summary_of(const Message& content) {
  std::unique_ptr<Message> copy(content.New());
  copy->CopyFrom(content);
  std::string accepted;
  std::string trouble;
  for_each_condition(nullptr, copy.get(), [&](Condition* condition, const Condition*) {
    if (condition->status() != "True" && trouble.empty()) trouble = condition->reason();
    if (condition->type() == "Accepted" && condition->status() == "True") accepted = "Accepted";
  });
  return trouble.empty() ? accepted : trouble;
}

}  // namespace weft::control::registry
