#include "api/text/print.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "api/text/cat.h"
#include "api/text/document.h"
#include "api/text/print_node.h"

namespace weft::text {

namespace {

using google::protobuf::Any;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;

constexpr std::string_view kRedacted = "[redacted]";

constexpr std::string_view kSecretFields[] = {
    "envoy.config.core.v3.GrpcService.initial_metadata",
    "envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials.private_key",
    "envoy.extensions.transport_sockets.tls.v3.TlsCertificate.private_key",
    "envoy.extensions.transport_sockets.tls.v3.TlsCertificate.pkcs12",
    "envoy.extensions.transport_sockets.tls.v3.TlsCertificate.password",
    "envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys.keys",
    "envoy.extensions.transport_sockets.tls.v3.GenericSecret.secret",
    "envoy.extensions.transport_sockets.tls.v3.GenericSecret.secrets",
    "envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider.typed_config",
};

bool is_secret(const FieldDescriptor& field) {
  return std::find(std::begin(kSecretFields), std::end(kSecretFields), field.full_name()) != std::end(kSecretFields);
}

// The least number of digits that reads back as the same value.
template <typename Number>
std::string number_text(Number value) {
  char buffer[64];
  // JSON readers take "-0" for an integer, and lose its sign.
  if (value == 0 && std::signbit(value)) return "-0.0";
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end.ptr);
}

// A message as a tree of nodes. Plain nodes are numbers and booleans.
class TreeMaker {
 public:
  explicit TreeMaker(const PrintOptions& options) : options_(options) {}

  const Node* message(const Message& message, bool secret) {
    const Descriptor& type = *message.GetDescriptor();
    switch (type.well_known_type()) {
      case Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
        break;
      case Descriptor::WELLKNOWNTYPE_ANY:
        return any(message, secret);
      case Descriptor::WELLKNOWNTYPE_DURATION:
        return duration(message);
      case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
        return timestamp(message);
      case Descriptor::WELLKNOWNTYPE_FIELDMASK: {
        google::protobuf::FieldMask mask;
        std::string text;
        if (!mask.ParseFromString(message.SerializeAsString())) return quoted("");
        if (!google::protobuf::util::FieldMaskUtil::ToJsonString(mask, &text)) return quoted("");
        return quoted(text);
      }
      case Descriptor::WELLKNOWNTYPE_STRUCT:
        return map_entries(message, *type.FindFieldByNumber(google::protobuf::Struct::kFieldsFieldNumber), secret);
      case Descriptor::WELLKNOWNTYPE_LISTVALUE:
        return list(message, *type.FindFieldByNumber(google::protobuf::ListValue::kValuesFieldNumber), secret);
      case Descriptor::WELLKNOWNTYPE_VALUE: {
        const auto* set = message.GetReflection()->GetOneofFieldDescriptor(message, type.oneof_decl(0));
        return set == nullptr ? null() : field_value(message, *set, -1, secret);
      }
      default:
        return field_value(message, *type.FindFieldByNumber(1), -1, secret);
    }
    Members members;
    add_fields(message, &members, secret);
    return document_.add_map(members);
  }

 private:
  // Keys are a descriptor's, or the document's.
  using Members = std::vector<Node::Member>;

  const Node* null() { return document_.add({}); }
  const Node* scalar(std::string_view text, Node::Style style) {
    return document_.add({document_.keep(text), style, {}});
  }
  const Node* quoted(std::string_view text) { return scalar(text, Node::Style::kQuoted); }
  const Node* plain(std::string_view text) { return scalar(text, Node::Style::kPlainJson); }

  void add_fields(const Message& message, Members* members, bool secret) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const bool hidden = secret || (options_.redact_secrets && is_secret(*field));
      const Node* value = field->is_map()        ? map_entries(message, *field, hidden)
                          : field->is_repeated() ? list(message, *field, hidden)
                                                 : field_value(message, *field, -1, hidden);
      members->push_back({options_.proto_names ? field->name() : field->json_name(), value});
    }
  }

  const Node* list(const Message& message, const FieldDescriptor& field, bool secret) {
    std::vector<const Node*> items;
    const int size = message.GetReflection()->FieldSize(message, &field);
    for (int i = 0; i < size; ++i) items.push_back(field_value(message, field, i, secret));
    return document_.add_list(items);
  }

  const Node* map_entries(const Message& message, const FieldDescriptor& field, bool secret) {
    Members members;
    const int size = message.GetReflection()->FieldSize(message, &field);
    for (int i = 0; i < size; ++i) {
      const Message& entry = message.GetReflection()->GetRepeatedMessage(message, &field, i);
      const Node* key = field_value(entry, *field.message_type()->map_key(), -1, false);
      members.push_back({key->scalar(), field_value(entry, *field.message_type()->map_value(), -1, secret)});
    }
    std::sort(members.begin(), members.end(),
              [](const Node::Member& a, const Node::Member& b) { return a.key < b.key; });
    return document_.add_map(members);
  }

  const Node* floating(double value, std::string_view text) {
    if (std::isnan(value)) return quoted("NaN");
    if (std::isinf(value)) return quoted(value > 0 ? "Infinity" : "-Infinity");
    return plain(text);
  }

  // The value of a singular field, or the one at `index` of a repeated one.
  const Node* field_value(const Message& message, const FieldDescriptor& field, int index, bool secret) {
    const Reflection& reflection = *message.GetReflection();
    const bool at = index >= 0;
    std::string buffer;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return plain(
            cat(at ? reflection.GetRepeatedInt32(message, &field, index) : reflection.GetInt32(message, &field)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return plain(
            cat(at ? reflection.GetRepeatedUInt32(message, &field, index) : reflection.GetUInt32(message, &field)));
      case FieldDescriptor::CPPTYPE_INT64:
        return quoted(
            cat(at ? reflection.GetRepeatedInt64(message, &field, index) : reflection.GetInt64(message, &field)));
      case FieldDescriptor::CPPTYPE_UINT64:
        return quoted(
            cat(at ? reflection.GetRepeatedUInt64(message, &field, index) : reflection.GetUInt64(message, &field)));
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        const double value =
            at ? reflection.GetRepeatedDouble(message, &field, index) : reflection.GetDouble(message, &field);
        return floating(value, number_text(value));
      }
      case FieldDescriptor::CPPTYPE_FLOAT: {
        const float value =
            at ? reflection.GetRepeatedFloat(message, &field, index) : reflection.GetFloat(message, &field);
        return floating(value, number_text(value));
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        const bool value =
            at ? reflection.GetRepeatedBool(message, &field, index) : reflection.GetBool(message, &field);
        return plain(value ? "true" : "false");
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        if (field.enum_type()->full_name() == "google.protobuf.NullValue") return null();
        const int number =
            at ? reflection.GetRepeatedEnumValue(message, &field, index) : reflection.GetEnumValue(message, &field);
        const auto* value = field.enum_type()->FindValueByNumber(number);
        return value == nullptr ? plain(cat(number)) : quoted(value->name());
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string& value = at ? reflection.GetRepeatedStringReference(message, &field, index, &buffer)
                                      : reflection.GetStringReference(message, &field, &buffer);
        const std::string_view shown = secret ? kRedacted : std::string_view(value);
        return field.type() == FieldDescriptor::TYPE_BYTES ? quoted(absl::Base64Escape(to_absl(shown))) : quoted(shown);
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return this->message(
            at ? reflection.GetRepeatedMessage(message, &field, index) : reflection.GetMessage(message, &field),
            secret);
    }
    return null();
  }

  const Node* duration(const Message& message) {
    google::protobuf::Duration value;
    value.CopyFrom(message);
    const bool negative = value.seconds() < 0 || value.nanos() < 0;
    std::string text = absl::StrFormat("%s%d", negative ? "-" : "", std::abs(value.seconds()));
    if (value.nanos() != 0) {
      absl::StrAppendFormat(&text, ".%09d", std::abs(value.nanos()));
      text.erase(text.find_last_not_of('0') + 1);
    }
    return quoted(text + "s");
  }

  const Node* timestamp(const Message& message) {
    google::protobuf::Timestamp value;
    value.CopyFrom(message);
    using google::protobuf::util::TimeUtil;
    const bool valid = value.seconds() >= TimeUtil::kTimestampMinSeconds &&
                       value.seconds() <= TimeUtil::kTimestampMaxSeconds && value.nanos() >= 0 &&
                       value.nanos() < 1'000'000'000;
    return quoted(valid ? TimeUtil::ToString(value) : cat(value.seconds(), "s"));
  }

  const Node* any(const Message& message, bool secret) {
    Any value;
    value.CopyFrom(message);
    Members members;
    if (value.type_url().empty() && value.value().empty()) return document_.add_map(members);
    members.push_back({"@type", quoted(value.type_url())});
    const std::string name = value.type_url().substr(value.type_url().rfind('/') + 1);
    const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(name);
    std::unique_ptr<Message> content;
    if (type != nullptr) content.reset(MessageFactory::generated_factory()->GetPrototype(type)->New());
    if (content == nullptr || !content->ParseFromString(value.value())) {
      members.push_back({"value", quoted(secret ? std::string(kRedacted) : absl::Base64Escape(value.value()))});
    } else if (type->well_known_type() != Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
      members.push_back({"value", this->message(*content, secret)});
    } else {
      add_fields(*content, &members, secret);
    }
    return document_.add_map(members);
  }

  const PrintOptions& options_;
  Document document_;
};

}  // namespace

std::string print_json(const Message& message, const PrintOptions& options) {
  TreeMaker maker(options);
  std::string out;
  append_json(*maker.message(message, false), options.indent, 0, &out);
  if (options.indent) out.push_back('\n');
  return out;
}

std::string print_yaml(const Message& message, const PrintOptions& options) {
  TreeMaker maker(options);
  std::string out;
  append_yaml(*maker.message(message, false), 0, false, &out);
  return out;
}

}  // namespace weft::text
