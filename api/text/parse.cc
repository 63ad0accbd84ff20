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
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "api/text/cat.h"
#include "api/text/document.h"
#include "api/text/former_names.h"
#include "api/text/message_type.h"
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
using google::protobuf::Reflection;

constexpr std::string_view kTypeKey = "@type";

std::string_view type_name(std::string_view type_url) { return type_url.substr(type_url.rfind('/') + 1); }

bool is_typed_struct(std::string_view name) {
  return name == "xds.type.v3.TypedStruct" || name == "udpa.type.v1.TypedStruct";
}

// An Any, or any other type whose JSON is not simply its fields, stands under "value" within an Any.
bool has_own_json(const MessageType& type) { return type.well_known() != Descriptor::WELLKNOWNTYPE_UNSPECIFIED; }

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

// Whether no key stands there twice, or merges.
bool are_plain(std::span<const Node::Member> members) {
  // Of few, comparing each with each costs least.
  constexpr size_t kFew = 16;
  if (members.size() > kFew) {
    absl::flat_hash_set<std::string_view> seen;
    return std::all_of(members.begin(), members.end(),
                       [&](const auto& each) { return !each.merge && seen.insert(each.key).second; });
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].merge) return false;
    for (size_t j = 0; j < i; ++j) {
      if (members[i].key == members[j].key) return false;
    }
  }
  return true;
}

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
  void message(const Node& node, const MessageType& type, Message* out, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    if (type.wrapped() != nullptr && node.kind != Node::Kind::kMap) {
      return singular(node, out, *type.wrapped(), path, depth + 1);
    }
    switch (type.well_known()) {
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
    fields(node, type, out, path, depth);
  }

 private:
  using Members = std::span<const Node::Member>;

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

  // The members of a map with YAML's merge keys carried out: a map's own members win, then the earlier source. They
  // are the document's, or else in `room`.
  Members members(const Node& node, const Path& path, int depth, std::vector<Node::Member>* room) {
    if (are_plain(node.members())) return node.members();
    std::unordered_map<std::string_view, Position> seen;
    for (const Node::Member& member : node.members()) {
      if (member.merge) continue;
      const auto [first, added] = seen.try_emplace(member.key, member.position);
      if (added) {
        room->push_back(member);
      } else {
        fail(member.position, path,
             cat("the key \"", member.key, "\" stands a second time; the first is on line ", first->second.line));
      }
    }
    for (const Node::Member& member : node.members()) {
      if (member.merge) merge(*member.value, path, depth + 1, room, &seen);
    }
    return *room;
  }

  void merge(const Node& from, const Path& path, int depth, std::vector<Node::Member>* out,
             std::unordered_map<std::string_view, Position>* seen) {
    if (!enter(from, path, depth)) return;
    if (from.kind == Node::Kind::kList) {
      for (const Node* item : from.items()) merge(*item, path, depth + 1, out, seen);
      return;
    }
    if (from.kind != Node::Kind::kMap) return expect(from, path, "a map, or a list of maps, to merge by <<");
    std::vector<Node::Member> room;
    for (const Node::Member& member : members(from, path, depth + 1, &room)) {
      if (++visited_ > options_.max_values) return;
      if (seen->try_emplace(member.key, member.position).second) out->push_back(member);
    }
  }

  void fields(const Node& node, const MessageType& type, Message* out, const Path& path, int depth) {
    if (node.kind == Node::Kind::kNull) return;
    if (node.kind != Node::Kind::kMap) {
      return expect(node, path, cat("a map with the fields of ", type.descriptor().full_name()));
    }
    std::vector<Node::Member> room;
    object(members(node, path, depth, &room), type, out, path, depth);
  }

  void object(Members members, const MessageType& type, Message* out, const Path& path, int depth) {
    absl::InlinedVector<bool, 128> seen(type.fields().size());
    for (const Node::Member& member : members) {
      const FieldType* field = type.find(member.key);
      if (field == nullptr) {
        unknown_field(type.descriptor(), member, path);
        continue;
      }
      const Path here = path.field(shown_name(*field->descriptor));
      if (std::exchange(seen[static_cast<size_t>(field->index)], true)) {
        fail(member.position, here, "the field stands a second time, in its other spelling");
        continue;
      }
      if (member.value->kind == Node::Kind::kNull && (field->is_repeated || !field->takes_null)) continue;
      note(here, member.position);
      if (field->oneof != nullptr && field->reflection->HasOneof(*out, field->oneof)) {
        const auto* other = field->reflection->GetOneofFieldDescriptor(*out, field->oneof);
        fail(member.position, here,
             cat("only one of the ", field->oneof->name(), " may be set, and ", shown_name(*other), " is already"));
        continue;
      }
      if (field->is_map) {
        map_field(*member.value, out, *field, here, depth + 1);
      } else if (field->is_repeated) {
        list_field(*member.value, out, *field, here, depth + 1);
      } else {
        singular(*member.value, out, *field, here, depth + 1);
      }
    }
  }

  const std::string& shown_name(const FieldDescriptor& field) const {
    return options_.json_names ? field.json_name() : field.name();
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

  void list_field(const Node& node, Message* out, const FieldType& field, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    if (node.kind != Node::Kind::kList) {
      // A lone element stands for a list of one, as protobuf's own parser has it; published files rely on it.
      const Path here = path.index(0);
      note(here, node.position);
      return singular(node, out, field, here, depth + 1);
    }
    const auto each = [&](const auto& add) {
      for (size_t i = 0; i < node.items().size(); ++i) {
        const Node& item = *node.items()[i];
        const Path here = path.index(i);
        note(here, item.position);
        if (item.kind == Node::Kind::kNull && !field.takes_null) {
          fail(item.position, here, "expected a value in the list; got null");
        } else {
          add(item, here);
        }
      }
    };
    // The fields that are long: what is the same for all items is asked for once.
    const int size = static_cast<int>(std::min<size_t>(node.items().size(), std::numeric_limits<int>::max()));
    if (field.cpp_type == FieldDescriptor::CPPTYPE_MESSAGE) {
      const MessageType& type = field.message();
      auto* list = field.reflection->MutableRepeatedPtrField<Message>(out, field.descriptor);
      list->Reserve(list->size() + size);
      each([&](const Node& item, const Path& here) {
        Message* added = type.make(out->GetArena());
        list->UnsafeArenaAddAllocated(added);
        message(item, type, added, here, depth + 1);
      });
    } else if (field.cpp_type == FieldDescriptor::CPPTYPE_STRING && !field.is_bytes) {
      auto* list = field.reflection->MutableRepeatedPtrField<std::string>(out, field.descriptor);
      list->Reserve(list->size() + size);
      each([&](const Node& item, const Path& here) {
        if (!enter(item, here, depth + 1)) return;
        std::string_view text;
        const std::string expected = read_string(item, &text);
        if (!expected.empty()) return expect(item, here, expected);
        list->Add()->assign(text);
      });
    } else {
      each([&](const Node& item, const Path& here) { singular(item, out, field, here, depth + 1); });
    }
  }

  void map_field(const Node& node, Message* out, const FieldType& field, const Path& path, int depth) {
    if (!enter(node, path, depth)) return;
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map");
    const FieldType& key_field = field.message().fields()[0];
    const FieldType& value_field = field.message().fields()[1];
    std::vector<Node::Member> room;
    for (const Node::Member& member : members(node, path, depth, &room)) {
      const Path here = path.key(member.key);
      note(here, member.position);
      if (member.value->kind == Node::Kind::kNull && !value_field.takes_null) {
        fail(member.value->position, here, "expected a value for the key; got null");
        continue;
      }
      Message* entry = field.reflection->AddMessage(out, field.descriptor);
      // A key is text whatever it looks like; a map keyed by numbers reads the number from it.
      singular({member.key, Node::Style::kQuoted, member.position}, entry, key_field, here, depth + 1);
      singular(*member.value, entry, value_field, here, depth + 1);
    }
  }

  // Sets a singular field, or adds to a repeated one.
  void singular(const Node& node, Message* out, const FieldType& type, const Path& path, int depth) {
    const Reflection& reflection = *type.reflection;
    const FieldDescriptor& field = *type.descriptor;
    const bool add = type.is_repeated;
    if (type.cpp_type == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* child = add ? reflection.AddMessage(out, &field) : reflection.MutableMessage(out, &field);
      return message(node, type.message(), child, path, depth);
    }
    if (!enter(node, path, depth)) return;
    std::string expected;
    int64_t integer = 0;
    uint64_t natural = 0;
    double number = 0;
    bool truth = false;
    int value = 0;
    std::string text;
    std::string_view words;
    switch (type.cpp_type) {
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
        expected = type.is_bytes ? read_bytes(node, &text) : read_string(node, &words);
        if (!expected.empty()) break;
        if (!type.is_bytes) text = words;
        add ? reflection.AddString(out, &field, std::move(text)) : reflection.SetString(out, &field, std::move(text));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    expect(node, path, expected);
  }

  void any(const Node& node, Any* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map with \"@type\"");
    std::vector<Node::Member> room;
    const Members content = members(node, path, depth, &room);
    if (content.empty()) return;
    const Node::Member* type = find(content, kTypeKey);
    if (type == nullptr) {
      return fail(node.position, path, "\"@type\" is missing: the URL of the message's type");
    }
    std::string_view text;
    const std::string expected = read_string(*type->value, &text);
    const std::string url(text);
    if (!expected.empty()) return expect(*type->value, path, expected);
    if (url.find('/') == std::string::npos || type_name(url).empty()) {
      return expect(*type->value, path, "a type URL, such as \"type.googleapis.com/package.Message\"");
    }
    const std::vector<Node::Member> rest = without(content, *type);
    if (is_typed_struct(type_name(url)) && typed_struct(rest, out, path, depth)) return;
    any_content(rest, node, url, type->value->position, out, path, depth);
  }

  // A TypedStruct of a type that we know is read as that type. False if it is of none: it stays a TypedStruct.
  bool typed_struct(Members content, Any* out, const Path& path, int depth) {
    const Node* url = nullptr;
    const Node* value = nullptr;
    for (const Node::Member& member : content) {
      if (member.key == "type_url" || member.key == "typeUrl") url = member.value;
      if (member.key == "value") value = member.value;
    }
    const bool known = url != nullptr && url->kind == Node::Kind::kScalar && !type_name(url->scalar()).empty() &&
                       !is_typed_struct(type_name(url->scalar()));
    if (!known || content.size() != (value == nullptr ? 1 : 2)) return false;
    if (value != nullptr && value->kind != Node::Kind::kMap) return false;
    const Node empty;
    const Node& body = value == nullptr ? empty : *value;
    std::vector<Node::Member> room;
    any_content(members(body, path, depth, &room), body, std::string(url->scalar()), url->position, out, path, depth);
    return true;
  }

  void any_content(Members content, const Node& node, const std::string& url, Position url_position, Any* out,
                   const Path& path, int depth) {
    const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(type_name(url)));
    if (type == nullptr) return unknown_type(content, url, url_position, out, path, depth);
    const MessageType& known = MessageType::of(*type);
    const std::unique_ptr<Message> message(known.make(nullptr));
    if (has_own_json(known)) {
      const Node::Member* value = find(content, "value");
      if (value == nullptr) return fail(node.position, path, "\"value\" is missing beside \"@type\"");
      for (const Node::Member& member : without(content, *value)) {
        fail(member.position, path, cat("unknown key \"", member.key, "\"; known are @type and value"));
      }
      note(path.field("value"), value->position);
      this->message(*value->value, known, message.get(), path.field("value"), depth + 1);
    } else {
      object(content, known, message.get(), path, depth + 1);
    }
    pack(url, *message, out);
  }

  void unknown_type(Members content, const std::string& url, Position url_position, Any* out, const Path& path,
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

  static const Node::Member* find(Members members, std::string_view key) {
    const auto found = std::find_if(members.begin(), members.end(), [&](const auto& each) { return each.key == key; });
    return found == members.end() ? nullptr : &*found;
  }

  // `member` is one of `members`.
  static std::vector<Node::Member> without(Members members, const Node::Member& member) {
    std::vector<Node::Member> out(members.begin(), members.end());
    out.erase(out.begin() + (&member - members.data()));
    return out;
  }

  void structure(const Node& node, google::protobuf::Struct* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kMap) return expect(node, path, "a map");
    std::vector<Node::Member> room;
    members_of_structure(members(node, path, depth, &room), out, path, depth);
  }

  void members_of_structure(Members members, google::protobuf::Struct* out, const Path& path, int depth) {
    for (const Node::Member& member : members) {
      const Path here = path.key(member.key);
      note(here, member.position);
      if (!enter(*member.value, here, depth + 1)) return;
      value(*member.value, &(*out->mutable_fields())[std::string(member.key)], here, depth + 1);
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
        out->set_string_value(std::string(node.scalar()));
        return;
    }
  }

  void list_value(const Node& node, google::protobuf::ListValue* out, const Path& path, int depth) {
    if (node.kind != Node::Kind::kList) return expect(node, path, "a list");
    for (size_t i = 0; i < node.items().size(); ++i) {
      const Node& item = *node.items()[i];
      const Path here = path.index(i);
      note(here, item.position);
      if (!enter(item, here, depth + 1)) return;
      value(item, out->add_values(), here, depth + 1);
    }
  }

  void field_mask(const Node& node, google::protobuf::FieldMask* out, const Path& path) {
    const bool text = node.kind == Node::Kind::kScalar && node.style != Node::Style::kPlainJson;
    if (text && google::protobuf::util::FieldMaskUtil::FromJsonString(std::string(node.scalar()), out)) return;
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
  if (find_invalid_utf8(text, &invalid)) {
    invalid.line += options.first_line - 1;
    builder->fail(invalid, Path(), "not UTF-8 text");
    return false;
  }
  SyntaxError error;
  const bool ok = json ? read_json(text, options.max_depth, options.first_line, document, &error)
                       : read_yaml(text, options.max_depth, options.first_line, document, &error);
  if (!ok) {
    builder->fail(error.position, Path(), cat(json ? "not JSON: " : "not YAML: ", error.message));
    return false;
  }
  return true;
}

// Of the outermost map itself; of a key that stands twice, which is a mistake, the first.
const Node::Member* find_member(const Document& document, std::string_view key) {
  if (document.root == nullptr) return nullptr;
  const auto members = document.root->members();
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& each) { return each.key == key; });
  return found == members.end() ? nullptr : &*found;
}

absl::Status build(const Document& document, Builder* builder, Message* out) {
  if (document.root == nullptr || document.root->kind == Node::Kind::kNull) {
    builder->fail({}, Path(), cat("empty; expected a map with the fields of ", out->GetDescriptor()->full_name()));
  } else {
    builder->message(*document.root, MessageType::of(*out->GetDescriptor()), out, Path(), 0);
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
  Document document(text.size());
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
  auto document = std::make_unique<Document>(text.size());
  if (!text::read(text, is_json(text, file_name, options.format), options, &builder, document.get())) {
    return builder.status();
  }
  return Untyped(file_name, options, std::move(document));
}

std::string_view Untyped::scalar(std::string_view key) const {
  const Node::Member* member = find_member(*document_, key);
  return member == nullptr ? std::string_view() : member->value->scalar();
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
