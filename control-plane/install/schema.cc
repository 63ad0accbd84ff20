#include "control-plane/install/schema.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weft::control::install {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using text::Tree;

Tree typed(const char* type) { return {{"type", type}}; }

Tree anything(Tree schema) {
  schema["x-kubernetes-preserve-unknown-fields"] = true;
  return schema;
}

Tree whole_number(int64_t least, int64_t most) {
  return {{"type", "integer"}, {"format", "int64"}, {"minimum", least}, {"maximum", most}};
}

Tree schema_of_enum(const EnumDescriptor& type) {
  Tree names = Tree::array();
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return {{"type", "string"}, {"enum", std::move(names)}};
}

// Goes down the messages; `open_` are those that it is in, for a schema cannot contain itself.
class Maker {
 public:
  Tree message(const Descriptor& type) {
    switch (type.well_known_type()) {
      case Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
        return object(type);
      case Descriptor::WELLKNOWNTYPE_DURATION:
      case Descriptor::WELLKNOWNTYPE_FIELDMASK:
        return typed("string");
      case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
        return {{"type", "string"}, {"format", "date-time"}};
      case Descriptor::WELLKNOWNTYPE_ANY:
      case Descriptor::WELLKNOWNTYPE_STRUCT:
        return anything(typed("object"));
      case Descriptor::WELLKNOWNTYPE_VALUE:
        return anything(Tree::object());
      case Descriptor::WELLKNOWNTYPE_LISTVALUE:
        return {{"type", "array"}, {"items", anything(Tree::object())}};
      default:
        // One of the wrappers, whose JSON is what it wraps.
        return single(*type.FindFieldByNumber(1));
    }
  }

 private:
  Tree object(const Descriptor& type) {
    if (std::find(open_.begin(), open_.end(), &type) != open_.end()) return anything(typed("object"));
    open_.push_back(&type);
    Tree properties = Tree::object();
    for (int i = 0; i < type.field_count(); ++i) properties[type.field(i)->json_name()] = field(*type.field(i));
    open_.pop_back();
    Tree out = typed("object");
    if (!properties.empty()) out["properties"] = std::move(properties);
    return out;
  }

  Tree field(const FieldDescriptor& field) {
    if (field.is_map()) {
      return {{"type", "object"}, {"additionalProperties", single(*field.message_type()->FindFieldByName("value"))}};
    }
    if (field.is_repeated()) return {{"type", "array"}, {"items", single(field)}};
    return single(field);
  }

  Tree single(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return typed("boolean");
      case FieldDescriptor::CPPTYPE_STRING:
        if (field.type() == FieldDescriptor::TYPE_BYTES) return {{"type", "string"}, {"format", "byte"}};
        return typed("string");
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return typed("number");
      case FieldDescriptor::CPPTYPE_INT32:
        return whole_number(INT32_MIN, INT32_MAX);
      case FieldDescriptor::CPPTYPE_UINT32:
        return whole_number(0, UINT32_MAX);
      case FieldDescriptor::CPPTYPE_INT64:
      case FieldDescriptor::CPPTYPE_UINT64:
        // By protobuf's JSON a string, but people write numbers.
        return {{"x-kubernetes-int-or-string", true}};
      case FieldDescriptor::CPPTYPE_ENUM:
        return schema_of_enum(*field.enum_type());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return message(*field.message_type());
  }

  std::vector<const Descriptor*> open_;
};

}  // namespace

Tree schema_of_kind(const Descriptor& kind) {
  Tree out = Maker().message(kind);
  Tree& properties = out["properties"];
  // What is within is checked by Kubernetes itself, and may not be said again.
  properties["metadata"] = typed("object");
  if (properties.contains("spec")) out["required"] = Tree::array({"spec"});
  return out;
}

}  // namespace weft::control::install
