#include "control-plane/inject/record.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/inject/pod.h"
#include "control-plane/inject/probes.h"
#include "control-plane/inject/tree_access.h"

namespace weft::control::inject {

namespace {

using text::cat;

constexpr int kVersion = 1;
constexpr char kAnnotations[] = "annotations";
constexpr char kProbes[] = "probes";
// What was absent or null before something was put there, by its path.
constexpr char kWas[] = "was";
constexpr char kMetadata[] = "metadata";
constexpr std::array<const char*, 4> kNameLists = {Record::kInitContainers, Record::kContainers, Record::kVolumes,
                                                   kAnnotations};

std::string path_of(const char* parent, const char* key) { return cat(parent, ".", key); }

bool is_list_of_names(const Tree* list) {
  return list == nullptr || (list->is_array() && std::all_of(list->begin(), list->end(),
                                                             [](const Tree& name) { return name.is_string(); }));
}

bool has_name(const Tree* names, const std::string& name) {
  return names != nullptr && std::find(names->begin(), names->end(), name) != names->end();
}

// Makes an empty map or list what it was before it was made.
void put_back(const Tree& was, const std::string& path, const char* key, Tree* parent) {
  const std::string& before = string_member(was, path);
  const Tree* now = member(*parent, key);
  if (before.empty() || now == nullptr || !now->empty()) return;
  if (before == "null") {
    (*parent)[key] = nullptr;
  } else {
    parent->erase(key);
  }
}

}  // namespace

Record::Record() : kept_({{"version", kVersion}}) {}

absl::StatusOr<Record> Record::read(const Tree& pod) {
  const std::string& text = string_member(*member(*member(pod, kMetadata), kAnnotations), kInjectedAnnotation);
  absl::StatusOr<Tree> kept =
      text::read_tree(text, kInjectedAnnotation, {.format = text::TreeOptions::Format::kJson}, nullptr);
  const absl::Status bad = absl::InvalidArgumentError(
      "is not what `weftctl inject` writes, so that nobody knows what to take out; remove it "
      "and what was injected by hand");
  if (!kept.ok() || !kept->is_object()) return bad;
  const Tree* version = member(*kept, "version");
  if (version == nullptr || *version != kVersion) return bad;
  for (const char* list : kNameLists) {
    if (!is_list_of_names(member(*kept, list))) return bad;
  }
  Record record;
  record.kept_ = *std::move(kept);
  return record;
}

Tree& Record::open(Tree* parent, const char* key, const std::string& path, Tree::value_t kind) {
  if (Tree* there = member(*parent, key); there != nullptr) return *there;
  kept_[kWas][path] = parent->contains(key) ? "null" : "absent";
  return (*parent)[key] = Tree(kind);
}

void Record::insert(Tree* spec, const char* list, size_t index, Tree item) {
  Tree& items = open(spec, list, path_of("spec", list), Tree::value_t::array);
  kept_[list].push_back(string_member(item, "name"));
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(std::min(index, items.size())), std::move(item));
}

void Record::append(Tree* spec, const char* list, Tree item) { insert(spec, list, SIZE_MAX, std::move(item)); }

void Record::annotate(Tree* pod, const std::string& name, const std::string& value) {
  Tree& metadata = open(pod, kMetadata, kMetadata, Tree::value_t::object);
  Tree& annotations = open(&metadata, kAnnotations, path_of(kMetadata, kAnnotations), Tree::value_t::object);
  if (annotations.contains(name)) return;
  annotations[name] = value;
  kept_[kAnnotations].push_back(name);
}

void Record::set_probes(Tree originals) {
  if (!originals.empty()) kept_[kProbes] = std::move(originals);
}

void Record::write(Tree* pod) {
  // Twice, as the second time nothing has to be made that would have to be kept.
  annotate(pod, kInjectedAnnotation, "");
  (*pod)[kMetadata][kAnnotations][kInjectedAnnotation] = kept_.dump();
}

void Record::undo(Tree* pod) const {
  Tree& spec = *member(*pod, "spec");
  static const Tree kNothing = Tree::object();
  const Tree* was = member(kept_, kWas);
  if (was == nullptr) was = &kNothing;
  for (const char* list : {kInitContainers, kContainers, kVolumes}) {
    Tree* items = member(spec, list);
    const Tree* names = member(kept_, list);
    if (items == nullptr || names == nullptr) continue;
    items->erase(std::remove_if(items->begin(), items->end(),
                                [names](const Tree& item) { return has_name(names, string_member(item, "name")); }),
                 items->end());
    put_back(*was, path_of("spec", list), list, &spec);
  }
  if (const Tree* probes = member(kept_, kProbes); probes != nullptr) restore_probes(*probes, &spec);
  Tree& metadata = *member(*pod, kMetadata);
  Tree& annotations = *member(metadata, kAnnotations);
  if (const Tree* names = member(kept_, kAnnotations); names != nullptr) {
    for (const Tree& name : *names) annotations.erase(name.get<std::string>());
  }
  annotations.erase(kInjectedAnnotation);
  put_back(*was, path_of(kMetadata, kAnnotations), kAnnotations, &metadata);
  put_back(*was, kMetadata, kMetadata, pod);
}

}  // namespace weft::control::inject
