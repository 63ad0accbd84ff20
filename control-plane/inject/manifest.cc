#include "control-plane/inject/manifest.h"

#include <array>
#include <span>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/inject/tree_access.h"

namespace weft::control::inject {

namespace {

using text::cat;

constexpr std::string_view kTemplate[] = {"spec", "template"};
constexpr std::string_view kJobTemplate[] = {"spec", "jobTemplate", "spec", "template"};

struct KindWithPod {
  std::string_view group;
  std::string_view kind;
  // Where the pod is, from the object on.
  std::span<const std::string_view> path;
  bool runs_to_completion = false;
};

constexpr KindWithPod kKinds[] = {
    {"", "Pod", {}},
    {"", "ReplicationController", kTemplate},
    {"apps", "Deployment", kTemplate},
    {"apps", "StatefulSet", kTemplate},
    {"apps", "DaemonSet", kTemplate},
    {"apps", "ReplicaSet", kTemplate},
    {"batch", "Job", kTemplate, true},
    {"batch", "CronJob", kJobTemplate, true},
};

const KindWithPod* find_kind(const Tree& object) {
  const std::string& version = string_member(object, "apiVersion");
  const size_t slash = version.find('/');
  const std::string group = slash == version.npos ? "" : version.substr(0, slash);
  for (const KindWithPod& each : kKinds) {
    if (each.group == group && each.kind == string_member(object, "kind")) return &each;
  }
  return nullptr;
}

// "v1 List", and lists of one kind as kubectl gives them: "apps/v1 DeploymentList".
bool is_list(const Tree& object) {
  const Tree* items = member(object, "items");
  return items != nullptr && items->is_array() && string_member(object, "kind").ends_with("List");
}

std::string name_of(const Tree& object) {
  std::string out = string_member(object, "kind");
  const Tree* metadata = member(object, "metadata");
  if (metadata == nullptr) return out;
  const std::string& space = string_member(*metadata, "namespace");
  std::string name = string_member(*metadata, "name");
  if (name.empty()) name = string_member(*metadata, "generateName");
  return cat(out, " ", space, space.empty() ? "" : "/", name);
}

bool is_of_job(const Tree& pod) {
  const Tree* metadata = member(pod, "metadata");
  const Tree* owners = metadata == nullptr ? nullptr : member(*metadata, "ownerReferences");
  return owners != nullptr && owners->is_array() && !owners->empty() && string_member(owners->front(), "kind") == "Job";
}

}  // namespace

std::string workload_of_pod(const Tree& pod) {
  const Tree* metadata = member(pod, "metadata");
  if (metadata == nullptr) return "";
  const Tree* owners = member(*metadata, "ownerReferences");
  if (owners == nullptr || !owners->is_array() || owners->empty()) return string_member(*metadata, "name");
  const Tree& owner = owners->front();
  std::string name = string_member(owner, "name");
  const Tree* labels = member(*metadata, "labels");
  const std::string hash = labels == nullptr ? "" : string_member(*labels, "pod-template-hash");
  if (string_member(owner, "kind") == "ReplicaSet" && !hash.empty() && name.ends_with("-" + hash)) {
    name.resize(name.size() - hash.size() - 1);
  }
  return name;
}

absl::Status act_on_object(Action action, const Settings& settings, const Locate& locate, Tree* object,
                           std::vector<ObjectOutcome>* outcomes) {
  if (is_list(*object)) {
    Tree& items = *member(*object, "items");
    std::string mistakes;
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string at = text::index_path("items", i);
      const Locate within = [&](std::string_view path) { return locate(path.empty() ? at : cat(at, ".", path)); };
      const absl::Status status = act_on_object(action, settings, within, &items[i], outcomes);
      if (!status.ok()) text::append(&mistakes, mistakes.empty() ? "" : "\n", status.message());
    }
    return mistakes.empty() ? absl::OkStatus() : absl::InvalidArgumentError(mistakes);
  }
  const KindWithPod* kind = find_kind(*object);
  if (kind == nullptr) return absl::OkStatus();
  Tree* pod = object;
  std::string path;
  for (const std::string_view each : kind->path) {
    path = text::field_path(path, each);
    pod = member(*pod, each);
    if (pod == nullptr) return absl::InvalidArgumentError(cat(locate(path), ": expected the pod's template; got none"));
  }
  PodContext context;
  context.settings = settings;
  const Tree* metadata = member(*object, "metadata");
  const bool is_pod = kind->path.empty();
  context.workload_name = is_pod                ? workload_of_pod(*object)
                          : metadata != nullptr ? string_member(*metadata, "name")
                                                : std::string();
  context.runs_to_completion = kind->runs_to_completion || (is_pod && is_of_job(*object));
  context.locate = [&](std::string_view within) {
    return locate(path.empty() ? std::string(within) : within.empty() ? path : cat(path, ".", within));
  };
  ObjectOutcome done;
  done.object = name_of(*object);
  absl::StatusOr<Outcome> outcome = action == Action::kInject ? inject_pod(context, pod) : uninject_pod(context, pod);
  if (!outcome.ok()) return outcome.status();
  done.outcome = *std::move(outcome);
  outcomes->push_back(std::move(done));
  return absl::OkStatus();
}

}  // namespace weft::control::inject
