#include "control-plane/source/object.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/time_util.h>

#include "api/text/canonical_bytes.h"
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

void clear_status(Message* content) {
  const FieldDescriptor* status = content->GetDescriptor()->FindFieldByName("status");
  if (status != nullptr) content->GetReflection()->ClearField(content, status);
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

std::shared_ptr<Message> in_place_of(const Message& before, const Message& content) {
  std::shared_ptr<Message> out(content.New());
  out->CopyFrom(content);
  clear_status(out.get());
  const ObjectMeta& from = metadata_of(before);
  ObjectMeta* metadata = mutable_metadata_of(out.get());
  metadata->set_resource_version(from.resource_version());
  metadata->set_generation(from.generation());
  if (from.has_creation_timestamp()) {
    *metadata->mutable_creation_timestamp() = from.creation_timestamp();
  } else {
    metadata->clear_creation_timestamp();
  }
  return out;
}

bool same_bytes(const Message& a, const Message& b) {
  return a.ByteSizeLong() == b.ByteSizeLong() && text::canonical_bytes(a) == text::canonical_bytes(b);
}

bool same_intent(const Message& a, const Message& b) { return same_bytes(*in_place_of(b, a), *in_place_of(b, b)); }

}  // namespace weft::control::source
