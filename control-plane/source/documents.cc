#include "control-plane/source/documents.h"

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <charconv>
#include <map>

#include "absl/strings/match.h"
#include "api/text/cat.h"
#include "api/text/parse.h"
#include "api/text/parts.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source {

namespace {

using google::protobuf::Message;
using text::cat;

constexpr size_t kMaxInputBytes = 16 << 20;
constexpr int kMaxDepth = 64;

std::string known_kinds() {
  std::string out;
  for (const KindInfo& info : all_kinds()) {
    text::append(&out, out.empty() ? "" : ", ", info.group, info.group.empty() ? "" : "/", info.versions.front(), " ",
                 info.name);
  }
  return out;
}

std::string text_of(const google::protobuf::Struct& object, const std::string& field) {
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? "" : found->second.string_value();
}

absl::Status at(const text::PositionMap& positions, std::string_view path, std::string_view what) {
  return absl::InvalidArgumentError(cat(positions.locate(path), ": ", what));
}

text::ParseOptions options_for(int first_line) {
  text::ParseOptions options;
  options.json_names = true;
  options.first_line = first_line;
  options.max_input_bytes = kMaxInputBytes;
  options.max_depth = kMaxDepth;
  return options;
}

// Takes out what is not the writer's to say, and reads what the writer expects to find.
absl::Status settle(const KindInfo& info, Draft* draft) {
  Message* content = draft->content.get();
  const auto* status = content->GetDescriptor()->FindFieldByName("status");
  if (status != nullptr) content->GetReflection()->ClearField(content, status);
  kubernetes::meta::v1::ObjectMeta* metadata = mutable_metadata_of(content);
  if (!metadata->resource_version().empty()) {
    const std::string& version = metadata->resource_version();
    const auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), draft->expected_revision);
    if (error != std::errc() || end != version.data() + version.size() || draft->expected_revision == 0) {
      return at(draft->positions(), "metadata.resourceVersion",
                cat("expected a revision of this store, as `get -o yaml` shows it, or nothing; got \"", version, "\""));
    }
  }
  metadata->clear_resource_version();
  metadata->clear_generation();
  metadata->clear_creation_timestamp();
  metadata->clear_uid();
  metadata->clear_managed_fields();
  metadata->mutable_annotations()->erase(kOriginAnnotation);
  if (info.in_namespace && metadata->namespace_().empty()) metadata->set_namespace_("default");
  if (!info.in_namespace && !metadata->namespace_().empty()) {
    return at(draft->positions(), "metadata.namespace", cat("a ", info.name, " lives in no namespace; leave it out"));
  }
  if (metadata->name().empty()) return at(draft->positions(), "metadata.name", "expected a name; got none");
  draft->key = key_of(info.kind, *content);
  return absl::OkStatus();
}

// Of a text in which it does not simply stand: what is wrong with it, or what YAML's merges make of it.
absl::StatusOr<const KindInfo*> kind_of(const text::Untyped& object, std::string_view file_name, int first_line) {
  google::protobuf::Struct any_kind;
  text::Source source;
  if (absl::Status status = object.parse(&any_kind, &source); !status.ok()) return status;
  const std::string api_version = text_of(any_kind, "apiVersion");
  const std::string kind = text_of(any_kind, "kind");
  if (const KindInfo* info = find_kind(api_version, kind)) return info;
  text::PositionMap positions{std::string(file_name)};
  positions.add("", {first_line, 1});
  if (kind.empty()) return at(positions, "kind", "expected a kind, such as Service; got none");
  if (api_version.empty()) return at(positions, "apiVersion", "expected a version, such as v1; got none");
  positions.add("kind", source.positions.find(text::key_path("", "kind")));
  return at(positions, "kind",
            cat(api_version, " ", kind, " is not a kind that Weft knows; known are ", known_kinds()));
}

absl::StatusOr<Draft> read_part(const text::Part& part, std::string_view file_name) {
  const absl::StatusOr<text::Untyped> object = text::Untyped::read(part.text, file_name, options_for(part.first_line));
  if (!object.ok()) return object.status();
  const KindInfo* info = find_kind(object->scalar("apiVersion"), object->scalar("kind"));
  if (info == nullptr) {
    const absl::StatusOr<const KindInfo*> found = kind_of(*object, file_name, part.first_line);
    if (!found.ok()) return found.status();
    info = *found;
  }
  Draft draft;
  draft.key.kind = info->kind;
  draft.content = make_message(info->kind);
  draft.written = {std::string(part.text), std::string(file_name), part.first_line,
                   object->position("apiVersion").line};
  if (absl::Status status = object->parse(draft.content.get()); !status.ok()) return status;
  if (absl::Status status = settle(*info, &draft); !status.ok()) return status;
  return draft;
}

void add_mistake(const absl::Status& status, std::string* mistakes) {
  text::append(mistakes, mistakes->empty() ? "" : "\n", status.message());
}

}  // namespace

text::PositionMap Draft::positions() const {
  text::Source source;
  // What is wrong with it, its reader was told.
  static_cast<void>(text::parse(written.text, written.file_name, make_message(key.kind).get(),
                                options_for(written.first_line), &source));
  text::PositionMap positions = std::move(source.positions);
  positions.add("", {written.first_line, 1});
  return positions;
}

absl::StatusOr<std::vector<Draft>> read_documents(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxInputBytes) {
    return absl::InvalidArgumentError(cat(file_name, ": longer than ", kMaxInputBytes, " bytes"));
  }
  const bool json = absl::EndsWithIgnoreCase(text::to_absl(file_name), ".json");
  std::vector<Draft> drafts;
  std::map<Key, size_t> seen;
  std::string mistakes;
  for (const text::Part& part : json ? std::vector<text::Part>{{text, 1}} : text::split_documents(text)) {
    if (!json && text::says_nothing(part.text)) continue;
    absl::StatusOr<Draft> draft = read_part(part, file_name);
    if (!draft.ok()) {
      add_mistake(draft.status(), &mistakes);
      continue;
    }
    const auto [first, added] = seen.try_emplace(draft->key, drafts.size());
    if (!added) {
      add_mistake(at(draft->positions(), "metadata.name",
                     cat(to_string(draft->key), " stands a second time; the first is at ",
                         drafts[first->second].positions().locate("metadata"))),
                  &mistakes);
      continue;
    }
    drafts.push_back(*std::move(draft));
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return drafts;
}

}  // namespace weft::control::source
