#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "api/text/tree.h"
#include "control-plane/inject/admission.h"
#include "control-plane/inject/manifest.h"

// What somebody posts to the admission webhook. Whatever is patched is patched once, and can be undone.

namespace {

using namespace weft::control::inject;
using weft::text::Tree;

void check_patch(const Settings& settings, Tree review, const std::string& encoded) {
  std::string patch;
  if (!absl::Base64Unescape(encoded, &patch)) abort();
  Tree& object = review["request"]["object"];
  const Tree before = object;
  object = object.patch(Tree::parse(patch));
  if (object == before || weft::control::inject::review(settings, review.dump()).verdict != Verdict::kLeft) abort();
  std::vector<ObjectOutcome> outcomes;
  const Locate locate = [](std::string_view path) { return std::string(path); };
  if (!act_on_object(Action::kUninject, settings, locate, &object, &outcomes).ok()) abort();
  // A patch says nothing of the order of keys.
  if (nlohmann::json::parse(object.dump()) != nlohmann::json::parse(before.dump())) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const Settings settings = default_settings();
  const Reply reply = review(settings, body);
  if (reply.status == 400) return 0;
  const Tree answer = Tree::parse(reply.body);
  if (reply.status != 200 || !answer["response"]["uid"].is_string()) abort();
  if (!answer["response"].contains("patch")) return 0;
  const Tree asked = *weft::text::read_tree(body, "", {.format = weft::text::TreeOptions::Format::kJson}, nullptr);
  check_patch(settings, asked, answer["response"]["patch"].get<std::string>());
  return 0;
}
