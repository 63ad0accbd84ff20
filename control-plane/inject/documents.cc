#include "control-plane/inject/documents.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "api/text/cat.h"
#include "api/text/parts.h"
#include "api/text/position.h"

namespace weft::control::inject {

namespace {

using text::cat;
using text::Tree;

// As the document came, JSON or YAML, with the separator that it had.
std::string print(const Tree& object, bool is_json, std::string_view was) {
  constexpr int kIndent = 2;
  if (is_json) return object.dump(kIndent) + "\n";
  return cat(was.starts_with("---") ? "---\n" : "", text::print_tree_yaml(object));
}

absl::Status rewrite_part(Action action, const Settings& settings, const text::Part& part, std::string_view file_name,
                          RewrittenText* out) {
  text::TreeOptions options;
  const size_t first = part.text.find_first_not_of(" \t\r\n");
  const bool is_json = absl::EndsWithIgnoreCase(text::to_absl(file_name), ".json") ||
                       (first != part.text.npos && part.text[first] == '{');
  options.format = absl::EndsWithIgnoreCase(text::to_absl(file_name), ".json") ? text::TreeOptions::Format::kJson
                                                                               : text::TreeOptions::Format::kYaml;
  options.first_line = part.first_line;
  text::PositionMap positions;
  absl::StatusOr<Tree> object = text::read_tree(part.text, file_name, options, &positions);
  if (!object.ok()) return object.status();
  const size_t before = out->outcomes.size();
  const Locate locate = [&positions](std::string_view path) { return positions.locate(path); };
  absl::Status status = act_on_object(action, settings, locate, &*object, &out->outcomes);
  if (!status.ok()) return status;
  const bool is_changed = std::any_of(out->outcomes.begin() + static_cast<std::ptrdiff_t>(before), out->outcomes.end(),
                                      [](const ObjectOutcome& each) { return each.outcome.is_changed; });
  if (is_changed) {
    out->text += print(*object, is_json, part.text);
  } else {
    text::append(&out->text, part.text, part.text.ends_with('\n') ? "" : "\n");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RewrittenText> rewrite_text(Action action, const Settings& settings, std::string_view text,
                                           std::string_view file_name) {
  RewrittenText out;
  std::string mistakes;
  const bool is_one = absl::EndsWithIgnoreCase(text::to_absl(file_name), ".json");
  for (const text::Part& part : is_one ? std::vector<text::Part>{{text, 1}} : text::split_documents(text)) {
    if (!is_one && text::says_nothing(part.text)) {
      out.text += part.text;
      continue;
    }
    const absl::Status status = rewrite_part(action, settings, part, file_name, &out);
    if (!status.ok()) text::append(&mistakes, mistakes.empty() ? "" : "\n", status.message());
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return out;
}

}  // namespace weft::control::inject
