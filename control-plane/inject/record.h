#pragma once

// What injection has changed in a pod, by names and not by places, so that it can be undone whatever others change
// meanwhile. Made once for each injection; kept in the pod as an annotation. One thread.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/text/tree.h"

namespace weft::control::inject {

class Record {
 public:
  static constexpr char kInitContainers[] = "initContainers";
  static constexpr char kContainers[] = "containers";
  static constexpr char kVolumes[] = "volumes";

  Record();
  // Of an injected pod. InvalidArgument if nobody can have written it but by hand.
  static absl::StatusOr<Record> read(const text::Tree& pod);

  // `item` has a name. The list is made if there is none.
  void insert(text::Tree* spec, const char* list, size_t index, text::Tree item);
  void append(text::Tree* spec, const char* list, text::Tree item);
  // One that the pod has already stays.
  void annotate(text::Tree* pod, const std::string& name, const std::string& value);
  void set_probes(text::Tree originals);
  // Into the pod, as the last step.
  void write(text::Tree* pod);

  void undo(text::Tree* pod) const;

 private:
  text::Tree& open(text::Tree* parent, const char* key, const std::string& path, text::Tree::value_t kind);

  text::Tree kept_;
};

}  // namespace weft::control::inject
