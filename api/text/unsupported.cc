#include "api/text/unsupported.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "api/text/cat.h"

namespace weft::text {

namespace {

using google::protobuf::Any;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;

bool consume_prefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

bool consume_suffix(std::string_view* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

bool is_google(const Descriptor& type) { return absl::StartsWith(type.full_name(), "google.protobuf."); }

// As tables write it: the enum's name, then the value's. (protobuf itself puts values beside their enum.)
std::string value_name(const EnumValueDescriptor& value) { return cat(value.type()->full_name(), ".", value.name()); }

// An index or a key, if `path` begins with one: its length, else 0.
size_t bracket_length(std::string_view path) {
  if (path.empty() || path[0] != '[') return 0;
  bool quoted = false;
  for (size_t i = 1; i < path.size(); ++i) {
    if (path[i] == '\\') {
      ++i;
    } else if (path[i] == '"') {
      quoted = !quoted;
    } else if (path[i] == ']' && !quoted) {
      return i + 1;
    }
  }
  return 0;
}

bool matches_here(std::string_view pattern, std::string_view path) {
  while (!pattern.empty()) {
    if (consume_prefix(&pattern, "[*]")) {
      const size_t length = bracket_length(path);
      if (length == 0) return false;
      path.remove_prefix(length);
      continue;
    }
    if (path.empty() || path[0] != pattern[0]) return false;
    path.remove_prefix(1);
    pattern.remove_prefix(1);
  }
  return path.empty();
}

bool matches(std::string_view pattern, std::string_view path) {
  if (!consume_prefix(&pattern, "**.")) return matches_here(pattern, path);
  if (matches_here(pattern, path)) return true;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '[') {
      i += bracket_length(path.substr(i));
      if (i >= path.size()) return false;
    }
    if (path[i] == '.' && matches_here(pattern, path.substr(i + 1))) return true;
  }
  return false;
}

class Walker {
 public:
  Walker(const SupportedFields& supported, const PositionMap* positions)
      : supported_(supported), positions_(positions) {}

  std::vector<Unsupported> found;

  void message(const Message& message, const std::string& path) {
    const Descriptor& type = *message.GetDescriptor();
    if (type.well_known_type() == Descriptor::WELLKNOWNTYPE_ANY) return any(message, path);
    if (is_google(type) || supported_.whole(type)) return;
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) this->field(message, *field, field_path(path, field->name()));
  }

 private:
  void report(Unsupported::Kind kind, const std::string& path, std::string name, std::string_view what) {
    Unsupported entry;
    entry.kind = kind;
    entry.path = path;
    entry.name = std::move(name);
    std::string place = path;
    if (positions_ != nullptr) {
      entry.position = positions_->find(path);
      place = positions_->locate(path);
    }
    entry.message = cat(place, place.empty() ? "" : ": ", what);
    found.push_back(std::move(entry));
  }

  void field(const Message& message, const FieldDescriptor& field, const std::string& path) {
    if (!supported_.field(field) || supported_.refused(path)) {
      return report(Unsupported::Kind::kField, path, field.full_name(), "this field is not supported");
    }
    const Reflection& reflection = *message.GetReflection();
    if (!field.is_repeated()) return value(message, field, -1, path);
    const int size = reflection.FieldSize(message, &field);
    for (int i = 0; i < size; ++i) {
      if (!field.is_map()) {
        element(message, field, i, index_path(path, static_cast<size_t>(i)));
        continue;
      }
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      element(entry, *field.message_type()->map_value(), -1, key_path(path, map_key(entry)));
    }
  }

  // One item of a list or map, which a refused path may name.
  void element(const Message& message, const FieldDescriptor& field, int index, const std::string& path) {
    if (supported_.refused(path)) {
      return report(Unsupported::Kind::kField, path, field.full_name(), "this entry is not supported");
    }
    value(message, field, index, path);
  }

  void value(const Message& message, const FieldDescriptor& field, int index, const std::string& path) {
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return this->message(
          index >= 0 ? reflection.GetRepeatedMessage(message, &field, index) : reflection.GetMessage(message, &field),
          path);
    }
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return;
    const int number =
        index >= 0 ? reflection.GetRepeatedEnumValue(message, &field, index) : reflection.GetEnumValue(message, &field);
    const EnumValueDescriptor* value = field.enum_type()->FindValueByNumber(number);
    if (value == nullptr) {
      const std::string name = cat(field.enum_type()->full_name(), ".", number);
      return report(Unsupported::Kind::kValue, path, name, cat("the value ", number, " is not known"));
    }
    if (supported_.value(*value)) return;
    report(Unsupported::Kind::kValue, path, value_name(*value), cat("the value ", value->name(), " is not supported"));
  }

  static std::string map_key(const Message& entry) {
    const FieldDescriptor& key = *entry.GetDescriptor()->map_key();
    const Reflection& reflection = *entry.GetReflection();
    switch (key.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.GetString(entry, &key);
      case FieldDescriptor::CPPTYPE_INT32:
        return cat(reflection.GetInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_INT64:
        return cat(reflection.GetInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT32:
        return cat(reflection.GetUInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT64:
        return cat(reflection.GetUInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(entry, &key) ? "true" : "false";
      default:
        return "";
    }
  }

  void any(const Message& message, const std::string& path) {
    Any value;
    value.CopyFrom(message);
    if (value.type_url().empty() && value.value().empty()) return;
    const std::string name = value.type_url().substr(value.type_url().rfind('/') + 1);
    const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(name);
    if (type == nullptr) {
      return report(Unsupported::Kind::kUnknownType, path, value.type_url(),
                    cat("the type ", name, " is not supported"));
    }
    std::unique_ptr<Message> content(MessageFactory::generated_factory()->GetPrototype(type)->New());
    if (!content->ParseFromString(value.value())) {
      return report(Unsupported::Kind::kMalformed, path, value.type_url(), cat("the bytes are no ", name));
    }
    if (name == "xds.type.v3.TypedStruct" || name == "udpa.type.v1.TypedStruct") return typed_struct(*content, path);
    if (!supported_.message(*type)) {
      return report(Unsupported::Kind::kMessage, path, name, cat("the type ", name, " is not supported"));
    }
    this->message(*content, is_google(*type) ? field_path(path, "value") : path);
  }

  // Named by the type it stands for: that is what the file says.
  void typed_struct(const Message& content, const std::string& path) {
    const FieldDescriptor* url_field = content.GetDescriptor()->FindFieldByName("type_url");
    const std::string url = content.GetReflection()->GetString(content, url_field);
    report(Unsupported::Kind::kUnknownType, path, url,
           cat("the type ", url.substr(url.rfind('/') + 1), " is not supported"));
  }

  const SupportedFields& supported_;
  const PositionMap* const positions_;
};

}  // namespace

SupportedFields::SupportedFields(std::span<const std::string_view> entries,
                                 std::span<const std::string_view> refused_paths)
    : refused_paths_(refused_paths.begin(), refused_paths.end()) {
  for (const std::string_view entry : entries) {
    std::string_view name = entry;
    Names* const names = consume_suffix(&name, ".**") ? &whole_ : consume_suffix(&name, ".*") ? &all_fields_ : &names_;
    names->insert({name.data(), name.size()});
    if (names == &names_) parents_.insert({name.data(), std::min(name.rfind('.'), name.size())});
  }
}

absl::Status SupportedFields::check(std::span<const std::string_view> entries) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  std::vector<std::string> unknown;
  for (const std::string_view entry : entries) {
    std::string_view name = entry;
    const bool asterisk = consume_suffix(&name, ".**") || consume_suffix(&name, ".*");
    const Descriptor* type = pool.FindMessageTypeByName(std::string(name));
    bool known = type != nullptr && (asterisk || type->containing_type() == nullptr);
    if (type == nullptr && !asterisk) {
      const size_t dot = name.rfind('.');
      const EnumDescriptor* enumeration =
          dot == std::string_view::npos ? nullptr : pool.FindEnumTypeByName(std::string(name.substr(0, dot)));
      known = pool.FindFieldByName(std::string(name)) != nullptr ||
              (enumeration != nullptr && enumeration->FindValueByName(std::string(name.substr(dot + 1))) != nullptr);
    }
    if (!known) unknown.emplace_back(entry);
  }
  if (unknown.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat("the table of supported fields names what does not exist: ", absl::StrJoin(unknown, ", ")));
}

bool SupportedFields::field(const FieldDescriptor& field) const {
  return names_.contains(field.full_name()) || all_fields_.contains(field.containing_type()->full_name()) ||
         whole(*field.containing_type());
}

bool SupportedFields::value(const EnumValueDescriptor& value) const {
  return !parents_.contains(value.type()->full_name()) || names_.contains(value_name(value));
}

bool SupportedFields::message(const Descriptor& message) const {
  const std::string& name = message.full_name();
  return is_google(message) || names_.contains(name) || parents_.contains(name) || all_fields_.contains(name) ||
         whole(message);
}

bool SupportedFields::whole(const Descriptor& message) const { return whole_.contains(message.full_name()); }

bool SupportedFields::refused(std::string_view path) const {
  return std::any_of(refused_paths_.begin(), refused_paths_.end(),
                     [path](std::string_view pattern) { return matches(pattern, path); });
}

std::vector<Unsupported> find_unsupported(const Message& message, const SupportedFields& supported,
                                          const PositionMap* positions, std::string_view path) {
  Walker walker(supported, positions);
  walker.message(message, std::string(path));
  return std::move(walker.found);
}

}  // namespace weft::text
