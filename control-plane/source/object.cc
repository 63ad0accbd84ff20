#include "control-plane/source/object.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>

#include <vector>

#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using kubernetes::meta::v1::ObjectMeta;

// Kinds are ours, and each has these fields.
const FieldDescriptor* metadata_field(const Message& content) {
  return content.GetDescriptor()->FindFieldByName("metadata");
}

// What people write: all that is set but the status, and the metadata, of which stores set some.
std::vector<const FieldDescriptor*> written_fields(const Message& content) {
  std::vector<const FieldDescriptor*> fields;
  content.GetReflection()->ListFields(content, &fields);
  std::erase_if(fields,
                [](const FieldDescriptor* field) { return field->name() == "status" || field->name() == "metadata"; });
  return fields;
}

ObjectMeta written_metadata(const Message& content) {
  ObjectMeta metadata = metadata_of(content);
  metadata.clear_generation();
  metadata.clear_resource_version();
  metadata.clear_creation_timestamp();
  return metadata;
}

}  // namespace

std::string to_string(const Key& key) {
  std::string out(kind_name(key.kind));
  out += ' ';
  if (!key.namespace_name.empty()) out += key.namespace_name + "/";
  return out + key.name;
}

const ObjectMeta& metadata_of(const Message& content) {
  return static_cast<const ObjectMeta&>(content.GetReflection()->GetMessage(content, metadata_field(content)));
}

ObjectMeta* mutable_metadata_of(Message* content) {
  return static_cast<ObjectMeta*>(content->GetReflection()->MutableMessage(content, metadata_field(*content)));
}

Key key_of(Kind kind, const Message& content) {
  const ObjectMeta& metadata = metadata_of(content);
  return {kind, metadata.namespace_(), metadata.name()};
}

std::string_view origin_of(const Message& content) {
  const auto& annotations = metadata_of(content).annotations();
  const auto found = annotations.find(kOriginAnnotation);
  return found == annotations.end() ? std::string_view() : std::string_view(found->second);
}

void set_origin(const std::string& origin, Message* content) {
  (*mutable_metadata_of(content)->mutable_annotations())[kOriginAnnotation] = origin;
}

Content with_age(const Message& content, const Message* before, int64_t now_ms) {
  std::shared_ptr<Message> out(content.New());
  out->CopyFrom(content);
  *mutable_metadata_of(out.get())->mutable_creation_timestamp() =
      before == nullptr ? google::protobuf::util::TimeUtil::MillisecondsToTimestamp(now_ms)
                        : metadata_of(*before).creation_timestamp();
  return out;
}

bool same_intent(const Message& a, const Message& b) {
  google::protobuf::util::MessageDifferencer differencer;
  return differencer.Compare(written_metadata(a), written_metadata(b)) &&
         differencer.CompareWithFields(a, b, written_fields(a), written_fields(b));
}

}  // namespace weft::control::source
