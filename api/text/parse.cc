#include "api/text/parse.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <unordered_map>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "api/text/cat.h"
#include "api/text/document.h"
#include "api/text/former_names.h"
#include "api/text/nearest.h"
#include "api/text/scalar.h"
#include "xds/type/v3/typed_struct.pb.h"

namespace weft::text {

namespace {

// Errors end in logs, where nothing of a key, a password or the like may stand.
bool holds_secret(std::string_view path) {
  for (std::string_view name : {"private_key", "privateKey", "pkcs12", "password", "session_ticket_keys",
                                "sessionTicketKeys", "generic_secret", "genericSecret"}) {
    if (path.find(name) != std::string_view::npos) return true;
  }
  return false;
}

using google::protobuf::Any;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;

constexpr std::string_view kTypeKey = "@type";

std::string_view type_name(std::string_view type_url) { return type_url.substr(type_url.rfind('/') + 1); }

bool is_typed_struct(std::string_view name) {
  return name == "xds.type.v3.TypedStruct" || name == "udpa.type.v1.TypedStruct";
}

bool is_wrapper(const Descriptor& type) {
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      return true;
    default:
      return false;
  }
}

// Whether null means something for this field rather than "not set".
bool takes_null(const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return field.enum_type()->full_name() == "google.protobuf.NullValue";
  }
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_VALUE;
}

// An Any, or any other type whose JSON is not simply its fields, stands under "value" within an Any.
bool has_own_json(const Descriptor& type) { return type.well_known_type() != Descriptor::WELLKNOWNTYPE_UNSPECIFIED; }

// Where the walk is. It is spelled out only for those who are told of it. Of the walk's stack: one outlives those below
// it, and the names are the document's or a descriptor's.
class Path {
 public:
  Path() = default;

  Path field(std::string_view name) const { return Path(this, Step::kField, name, 0); }
  Path index(size_t index) const { return Path(this, Step::kIndex, {}, index); }
  Path key(std::string_view key) const { return Path(this, Step::kKey, key, 0); }

  std::string str() const {
    switch (step_) {
      case Step::kRoot:
        return "";
      case Step::kField:
        return field_path(up_->str(), name_);
      case Step::kIndex:
        return index_path(up_->str(), index_);
      case Step::kKey:
        return key_path(up_->str(), name_);
    }
    return "";
  }

 private:
  enum class Step { kRoot, kField, kIndex, kKey };

  Path(const Path* up, Step step, std::string_view name, size_t index)
      : up_(up), step_(step), name_(name), index_(index) {}

  const Path* up_ = nullptr;
  Step step_ = Step::kRoot;
  std::string_view name_;
  size_t index_ = 0;
};

class Builder {
 public:
  Builder(std::string_view file_name, const ParseOptions& options, Source* source)
      : file_name_(file_name), options_(options), source_(source) {}

  absl::Status status() const {
    if (errors_.empty()) return absl::OkStatus();
    std::string text = absl::StrJoin(errors_, "\n");
    if (more_errors_) append(&text, "\n", file_name_, ": more mistakes follow");
    return absl::InvalidArgumentError(text);
  }

  void fail(Position position, const Path& path, std::string_view what) {
    if (errors_.size() >= options_.max_errors) {
      more_errors_ = true;
      return;
    }
    std::string line(file_name_);
    if (position.known()) append(&line, line.empty() ? "" : ":", position.line, ":", position.column);
    const std::string place = path.str();
    append(&line, line.empty() ? "" : ": ", place, place.empty() ? "" : ": ", what);
    errors_.push_back(std::move(line));
  }

  // A message of any type, well-known or not.
  void message(const Node& node, Message* out, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    const Descriptor& type = *out->GetDescriptor();
    if (is_wrapper(type) && node.kind != Node::Kind::kMap) {
      return singular(node, out, *type.FindFieldByNumber(1), path, depth + 1);
    }
    switch (type.well_known_type()) {
      case Descriptor::WELLKNOWNTYPE_ANY:
        return any(node, static_cast<Any*>(out), path, depth);
      case Descriptor::WELLKNOWNTYPE_STRUCT:
        return structure(node, static_cast<google::protobuf::Struct*>(out), path, depth);
      case Descriptor::WELLKNOWNTYPE_VALUE:
        return value(node, static_cast<google::protobuf::Value*>(out), path, depth);
      case Descriptor::WELLKNOWNTYPE_LISTVALUE:
        return list_value(node, static_cast<google::protobuf::ListValue*>(out), path, depth);
      case Descriptor::WELLKNOWNTYPE_FIELDMASK:
        return field_mask(node, static_cast<google::protobuf::FieldMask*>(out), path);
      case Descriptor::WELLKNOWNTYPE_DURATION:
        if (node.kind == Node::Kind::kMap) break;
        return expect(node, path, read_duration(node, static_cast<google::protobuf::Duration*>(out)));
      case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
        if (node.kind == Node::Kind::kMap) break;
        return expect(node, path, read_timestamp(node, static_cast<google::protobuf::Timestamp*>(out)));
      default:
        break;
    }
    fields(node, out, path, depth);
  }

 private:
  // Of the document, which outlives this.
  using Members = std::vector<const Node::Member*>;

  // Counts the visit against the limits; false if the walk must not go on here.
  bool enter(const Node& node, const Path& path, int depth) {
    if (stopped_) return false;
    if (++visited_ > options_.max_values) {
      stopped_ = true;
      fail(node.position, path, cat("more than ", options_.max_values, " values, aliases counted at each use"));
      return false;
    }
    // Twice the depth of the text: an alias may stand at the bottom and hold as much again.
    if (depth > 2 * options_.max_depth) {
      stopped_ = true;
      fail(node.position, path, cat("more than ", 2 * options_.max_depth, " values within each other"));
      return false;
    }
    return true;
  }

  void expect(const Node& node, const Path& path, const std::string& expected) {
    if (expected.empty()) return;
    const bool hidden = node.kind == Node::Kind::kScalar && holds_secret(path.str());
    fail(node.position, path,
         cat("expected ", expected, "; got ", hidden ? "a text that is not shown" : describe(node)));
  }

  void note(const Path& path, Position position) {
    if (source_ != nullptr) source_->positions.add(path.str(), position);
  }

  // The members of a map with YAML's merge keys carried out: a map's own members win, then the earlier source.
  Members members(const Node& node, const Path& path, int depth) {
    Members out;
    std::unordered_map<std::string_view, Position> seen;
    for (const Node::Member& member : node.members) {
      if (member.merge) continue;
      const auto [first, added] = seen.try_emplace(member.key, member.position);
      if (added) {
        out.push_back(&member);
      } else {
        fail(member.position, path,
             cat("the key \"", member.key, "\" stands a second time; the first is on line ", first->second.line));
      }
    }
    for (const Node::Member& member : node.members) {
      if (member.merge) merge(*member.value, path, depth + 1, &out, &seen);
    }
    return out;
  }

  void merge(const Node& from, const Path& path, int depth, Members* out,
             std::unordered_map<std::string_view, Position>* seen) {
    if (!enter(from, path, depth)) return;
    if (from.kind == Node::Kind::kList) {
      for (const Node* item : from.items) merge(*item, path, depth + 1, out, seen);
      return;
    }
    if (from.kind != Node::Kind::kMap) return expect(from, path, "a map, or a list of maps, to merge by <<");
    for (const Node::Member* member : members(from, path, depth + 1)) {
      if (++visited_ > options_.max_values) return;
      if (seen->try_emplace(member->key, member->position).second) out->push_back(member);
    }
  }

  void fields(const Node& node, Message* out, const Path& path, int depth) {
    if (node.kind == Node::Kind::kNull) return;
    if (node.kind != Node::Kind::kMap) {
      return expect(node, path, cat("a map with the fields of ", out->GetDescriptor()->full_name()));
    }
    object(members(node, path, depth), out, path, depth);
  }

  void object(const Members& members, Message* out, const Path& path, int depth) {
    absl::flat_hash_set<const FieldDescriptor*> seen;
    for (const Node::Member* entry : members) {
      const Node::Member& member = *entry;
      const FieldDescriptor* field = find_field(*out->GetDescriptor(), member.key);
      if (field == nullptr) {
        unknown_field(*out->GetDescriptor(), member, path);
        continue;
      }
      const Path here = path.field(shown_name(*field));
      if (!seen.insert(field).second) {
        fail(member.position, here, "the field stands a second time, in its other spelling");
        continue;
      }
      if (member.value->kind == Node::Kind::kNull && (field->is_repeated() || !takes_null(*field))) continue;
      note(here, member.position);
      const auto* oneof = field->real_containing_oneof();
      if (oneof != nullptr && out->GetReflection()->HasOneof(*out, oneof)) {
        const auto* other = out->GetReflection()->GetOneofFieldDescriptor(*out, oneof);
        fail(member.position, here,
             cat("only one of the ", oneof->name(), " may be set, and ", shown_name(*other), " is already"));
        continue;
      }
      if (field->is_map()) {
        map_field(*member.value, out, *field, here, depth + 1);
      } else if (field->is_repeated()) {
        list_field(*member.value, out, *field, here, depth + 1);
      } else {
        singular(*member.value, out, *field, here, depth + 1);
      }
    }
  }

  const std::string& shown_name(const FieldDescriptor& field) const {
    return options_.json_names ? field.json_name() : field.name();
  }

  static const FieldDescriptor* find_field(const Descriptor& type, const std::string& key) {
    const FieldDescriptor* field = type.FindFieldByName(key);
    if (field != nullptr) return field;
    // Two fields may share a camelCase name by chance; the JSON name decides.
    field = type.FindFieldByCamelcaseName(key);
    if (field != nullptr && field->json_name() == key) return field;
    for (int i = 0; i < type.field_count(); ++i) {
      if (type.field(i)->json_name() == key) return type.field(i);
    }
    return nullptr;
  }

  void unknown_field(const Descriptor& type, const Node::Member& member, const Path& path) {
    constexpr int kMaxListed = 10;
    std::string what = cat("unknown field \"", member.key, "\" of ", type.full_name());
    const std::string_view successor = successor_of(type.full_name(), member.key);
    std::vector<std::string> names;
    for (int i = 0; i < type.field_count(); ++i) names.push_back(shown_name(*type.field(i)));
    const std::string nearest = nearest_name(member.key, names);
    if (!successor.empty()) {
      append(&what, "; it was removed from the API: ", successor);
    } else if (!nearest.empty()) {
      append(&what, "; did you mean ", nearest, "?");
    } else if (!names.empty() && type.field_count() <= kMaxListed) {
      append(&what, "; known are ", absl::StrJoin(names, ", "));
    }
    fail(member.position, path, what);
  }

  void list_field(const Node& node, Message* out, const FieldDescriptor& field, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    if (node.kind != Node::Kind::kList) {
      // A lone element stands for a list of one, as protobuf's own parser has it; published files rely on it.
      const Path here = path.index(0);
      note(here, node.position);
      return singular(node, out, field, here, depth + 1);
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      const Path here = path.index(i);
      note(here, node.items[i]->position);
      if (node.items[i]->kind == Node::Kind::kNull && !takes_null(field)) {
        fail(node.items[i]->position, here, "expected a value in the list; got null");
        continue;
      }
      singular(*node.items[i], out, field, here, depth + 1);
    }
  }

  void map_field(const Node& node, Message* out, const FieldDescriptor& field, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map");
    const FieldDescriptor& key_field = *field.message_type()->map_key();
    const FieldDescriptor& value_field = *field.message_type()->map_value();
    for (const Node::Member* written : members(node, path, depth)) {
      const Node::Member& member = *written;
      const Path here = path.key(member.key);
      note(here, member.position);
      if (member.value->kind == Node::Kind::kNull && !takes_null(value_field)) {
        fail(member.value->position, here, "expected a value for the key; got null");
        continue;
      }
      Message* entry = out->GetReflection()->AddMessage(out, &field);
      // A key is text whatever it looks like; a map keyed by numbers reads the number from it.
      Node key;
      key.kind = Node::Kind::kScalar;
      key.style = Node::Style::kQuoted;
      key.position = member.position;
      key.scalar = member.key;
      singular(key, entry, key_field, here, depth + 1);
      singular(*member.value, entry, value_field, here, depth + 1);
    }
  }

  // Sets a singular field, or adds to a repeated one.
  void singular(const Node& node, Message* out, const FieldDescriptor& field, const Path& path, int depth) {
    const Reflection& reflection = *out->GetReflection();
    const bool add = field.is_repeated();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* child = add ? reflection.AddMessage(out, &field) : reflection.MutableMessage(out, &field);
      return message(node, child, path, depth);
    }
    if (!enter(node, path, depth)) return;
    std::string expected;
    int64_t integer = 0;
    uint64_t natural = 0;
    double number = 0;
    bool truth = false;
    int value = 0;
    std::string text;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        expected = read_int(node, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), &integer);
        if (!expected.empty()) break;
        add ? reflection.AddInt32(out, &field, static_cast<int32_t>(integer))
            : reflection.SetInt32(out, &field, static_cast<int32_t>(integer));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        expected = read_int(node, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), &integer);
        if (!expected.empty()) break;
        add ? reflection.AddInt64(out, &field, integer) : reflection.SetInt64(out, &field, integer);
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        expected = read_uint(node, std::numeric_limits<uint32_t>::max(), &natural);
        if (!expected.empty()) break;
        add ? reflection.AddUInt32(out, &field, static_cast<uint32_t>(natural))
            : reflection.SetUInt32(out, &field, static_cast<uint32_t>(natural));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        expected = read_uint(node, std::numeric_limits<uint64_t>::max(), &natural);
        if (!expected.empty()) break;
        add ? reflection.AddUInt64(out, &field, natural) : reflection.SetUInt64(out, &field, natural);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        expected = read_double(node, false, &number);
        if (!expected.empty()) break;
        add ? reflection.AddDouble(out, &field, number) : reflection.SetDouble(out, &field, number);
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        expected = read_double(node, true, &number);
        if (!expected.empty()) break;
        add ? reflection.AddFloat(out, &field, static_cast<float>(number))
            : reflection.SetFloat(out, &field, static_cast<float>(number));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        expected = read_bool(node, &truth);
        if (!expected.empty()) break;
        add ? reflection.AddBool(out, &field, truth) : reflection.SetBool(out, &field, truth);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        // JSON's null is NullValue's only value.
        if (node.kind != Node::Kind::kNull) expected = read_enum(node, *field.enum_type(), &value);
        if (!expected.empty()) break;
        add ? reflection.AddEnumValue(out, &field, value) : reflection.SetEnumValue(out, &field, value);
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        expected = field.type() == FieldDescriptor::TYPE_BYTES ? read_bytes(node, &text) : read_string(node, &text);
        if (!expected.empty()) break;
        add ? reflection.AddString(out, &field, std::move(text)) : reflection.SetString(out, &field, std::move(text));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    expect(node, path, expected);
  }

  void any(const Node& node, Any* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map with \"@type\"");
    Members content = members(node, path, depth);
    if (content.empty()) return;
    const Node::Member* type = take(&content, kTypeKey);
    if (type == nullptr) {
      return fail(node.position, path, "\"@type\" is missing: the URL of the message's type");
    }
    std::string url;
    const std::string expected = read_string(*type->value, &url);
    if (!expected.empty()) return expect(*type->value, path, expected);
    if (url.find('/') == std::string::npos || type_name(url).empty()) {
      return expect(*type->value, path, "a type URL, such as \"type.googleapis.com/package.Message\"");
    }
    if (is_typed_struct(type_name(url)) && typed_struct(content, out, path, depth)) return;
    any_content(content, node, url, type->value->position, out, path, depth);
  }

  // A TypedStruct of a type that we know is read as that type. False if it is of none: it stays a TypedStruct.
  bool typed_struct(const Members& content, Any* out, const Path& path, int depth) {
    const Node* url = nullptr;
    const Node* value = nullptr;
    for (const Node::Member* member : content) {
      if (member->key == "type_url" || member->key == "typeUrl") url = member->value;
      if (member->key == "value") value = member->value;
    }
    const bool known = url != nullptr && url->kind == Node::Kind::kScalar && !type_name(url->scalar).empty() &&
                       !is_typed_struct(type_name(url->scalar));
    if (!known || content.size() != (value == nullptr ? 1 : 2)) return false;
    if (value != nullptr && value->kind != Node::Kind::kMap) return false;
    const Node empty;
    const Node& body = value == nullptr ? empty : *value;
    any_content(members(body, path, depth), body, url->scalar, url->position, out, path, depth);
    return true;
  }

  void any_content(Members content, const Node& node, const std::string& url, Position url_position, Any* out,
                   const Path& path, int depth) {
    const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(type_name(url)));
    if (type == nullptr) return unknown_type(content, url, url_position, out, path, depth);
    std::unique_ptr<Message> message(MessageFactory::generated_factory()->GetPrototype(type)->New());
    if (has_own_json(*type)) {
      const Node::Member* value = take(&content, "value");
      if (value == nullptr) return fail(node.position, path, "\"value\" is missing beside \"@type\"");
      for (const Node::Member* member : content) {
        fail(member->position, path, cat("unknown key \"", member->key, "\"; known are @type and value"));
      }
      note(path.field("value"), value->position);
      this->message(*value->value, message.get(), path.field("value"), depth + 1);
    } else {
      object(content, message.get(), path, depth + 1);
    }
    pack(url, *message, out);
  }

  void unknown_type(const Members& content, const std::string& url, Position url_position, Any* out, const Path& path,
                    int depth) {
    if (source_ != nullptr) source_->unknown_types.push_back({url, path.str(), url_position});
    if (!options_.keep_unknown_types) return fail(url_position, path, cat("unknown type ", url));
    xds::type::v3::TypedStruct kept;
    kept.set_type_url(url);
    members_of_structure(content, kept.mutable_value(), path, depth + 1);
    pack("type.googleapis.com/xds.type.v3.TypedStruct", kept, out);
  }

  static void pack(const std::string& url, const Message& message, Any* out) {
    out->set_type_url(url);
    out->set_value(message.SerializeAsString());
  }

  static const Node::Member* take(Members* members, std::string_view key) {
    for (auto member = members->begin(); member != members->end(); ++member) {
      if ((*member)->key != key) continue;
      const Node::Member* out = *member;
      members->erase(member);
      return out;
    }
    return nullptr;
  }

  void structure(const Node& node, google::protobuf::Struct* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map");
    members_of_structure(members(node, path, depth), out, path, depth);
  }

  void members_of_structure(const Members& members, google::protobuf::Struct* out, const Path& path, int depth) {
    for (const Node::Member* entry : members) {
      const Node::Member& member = *entry;
      const Path here = path.key(member.key);
      note(here, member.position);
      if (!enter(*member.value, here, depth + 1)) return;
      value(*member.value, &(*out->mutable_fields())[member.key], here, depth + 1);
    }
  }

  void value(const Node& node, google::protobuf::Value* out, const Path& path, int depth) {
    if (node.kind == Node::Kind::kMap) return structure(node, out->mutable_struct_value(), path, depth);
    if (node.kind == Node::Kind::kList) return list_value(node, out->mutable_list_value(), path, depth);
    double number = 0;
    bool truth = false;
    switch (plain_type(node)) {
      case PlainType::kNull:
        out->set_null_value(google::protobuf::NULL_VALUE);
        return;
      case PlainType::kBool:
        expect(node, path, read_bool(node, &truth));
        out->set_bool_value(truth);
        return;
      case PlainType::kNumber:
        expect(node, path, read_double(node, false, &number));
        out->set_number_value(number);
        return;
      case PlainType::kString:
        out->set_string_value(node.scalar);
        return;
    }
  }

  void list_value(const Node& node, google::protobuf::ListValue* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kList) return expect(node, path, "a list");
    for (size_t i = 0; i < node.items.size(); ++i) {
      const Path here = path.index(i);
      note(here, node.items[i]->position);
      if (!enter(*node.items[i], here, depth + 1)) return;
      value(*node.items[i], out->add_values(), here, depth + 1);
    }
  }

  void field_mask(const Node& node, google::protobuf::FieldMask* out, const Path& path) {
    const bool text = node.kind == Node::Kind::kScalar && node.style != Node::Style::kPlainJson;
    if (text && google::protobuf::util::FieldMaskUtil::FromJsonString(node.scalar, out)) return;
    expect(node, path, "field paths separated by commas, such as \"name,loadAssignment\"");
  }

  const std::string_view file_name_;
  const ParseOptions& options_;
  Source* const source_;
  std::vector<std::string> errors_;
  bool more_errors_ = false;
  bool stopped_ = false;
  size_t visited_ = 0;
};

bool is_json(std::string_view text, std::string_view file_name, ParseOptions::Format format) {
  if (format != ParseOptions::Format::kByName) return format == ParseOptions::Format::kJson;
  if (absl::EndsWithIgnoreCase(to_absl(file_name), ".json")) return true;
  if (absl::EndsWithIgnoreCase(to_absl(file_name), ".yaml") || absl::EndsWithIgnoreCase(to_absl(file_name), ".yml"))
    return false;
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

// False if it is no document; `builder` then knows why.
bool read(std::string_view text, bool json, const ParseOptions& options, Builder* builder, Document* document) {
  if (text.size() > options.max_input_bytes) {
    builder->fail({}, Path(), cat("longer than ", options.max_input_bytes, " bytes"));
    return false;
  }
  Position invalid;
  const int lines_before = options.first_line - 1;
  if (find_invalid_utf8(text, &invalid)) {
    invalid.line += lines_before;
    builder->fail(invalid, Path(), "not UTF-8 text");
    return false;
  }
  SyntaxError error;
  const bool ok = json ? read_json(text, options.max_depth, document, &error)
                       : read_yaml(text, options.max_depth, document, &error);
  if (!ok) {
    error.position.line += lines_before;
    builder->fail(error.position, Path(), cat(json ? "not JSON: " : "not YAML: ", error.message));
    return false;
  }
  document->move_down(lines_before);
  return true;
}

// Of the outermost map itself; of a key that stands twice, which is a mistake, the first.
const Node::Member* find_member(const Document& document, std::string_view key) {
  if (document.root == nullptr) return nullptr;
  const auto& members = document.root->members;
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& each) { return each.key == key; });
  return found == members.end() ? nullptr : &*found;
}

absl::Status build(const Document& document, Builder* builder, Message* out) {
  if (document.root == nullptr || document.root->kind == Node::Kind::kNull) {
    builder->fail({}, Path(), cat("empty; expected a map with the fields of ", out->GetDescriptor()->full_name()));
  } else {
    builder->message(*document.root, out, Path(), 0);
  }
  absl::Status status = builder->status();
  if (!status.ok()) out->Clear();
  return status;
}

}  // namespace

absl::Status parse(std::string_view text, std::string_view file_name, Message* out, const ParseOptions& options,
                   Source* source) {
  out->Clear();
  if (source != nullptr) *source = {PositionMap(std::string(file_name)), {}};
  Builder builder(file_name, options, source);
  Document document;
  if (!read(text, is_json(text, file_name, options.format), options, &builder, &document)) return builder.status();
  return build(document, &builder, out);
}

Untyped::Untyped(std::string_view file_name, const ParseOptions& options, std::unique_ptr<const Document> document)
    : file_name_(file_name), options_(options), document_(std::move(document)) {}
Untyped::Untyped(Untyped&&) noexcept = default;
Untyped& Untyped::operator=(Untyped&&) noexcept = default;
Untyped::~Untyped() = default;

absl::StatusOr<Untyped> Untyped::read(std::string_view text, std::string_view file_name, const ParseOptions& options) {
  Builder builder(file_name, options, nullptr);
  auto document = std::make_unique<Document>();
  if (!text::read(text, is_json(text, file_name, options.format), options, &builder, document.get())) {
    return builder.status();
  }
  return Untyped(file_name, options, std::move(document));
}

std::string_view Untyped::scalar(std::string_view key) const {
  const Node::Member* member = find_member(*document_, key);
  return member != nullptr && member->value->kind == Node::Kind::kScalar ? std::string_view(member->value->scalar)
                                                                         : std::string_view();
}

Position Untyped::position(std::string_view key) const {
  const Node::Member* member = find_member(*document_, key);
  return member == nullptr ? Position() : member->position;
}

absl::Status Untyped::parse(Message* out, Source* source) const {
  out->Clear();
  if (source != nullptr) *source = {PositionMap(file_name_), {}};
  Builder builder(file_name_, options_, source);
  return build(*document_, &builder, out);
}

}  // namespace weft::text
