#include "control-plane/inject/admission.h"

#include <absl/strings/escaping.h>

#include <catch2/catch.hpp>

#include "api/text/tree.h"

namespace weft::control::inject {
namespace {

using text::Tree;

Tree request(const char* pod, const char* operation = "CREATE") {
  Tree object = Tree::parse(pod);
  object["apiVersion"] = "v1";
  object["kind"] = "Pod";
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request", {{"uid", "u-1"}, {"operation", operation}, {"object", std::move(object)}}}};
}

Reply reply(const Tree& review) { return inject::review(default_settings(), review.dump()); }

Tree response(const Reply& reply) {
  CHECK(reply.status == 200);
  const Tree body = Tree::parse(reply.body);
  CHECK(body["apiVersion"] == "admission.k8s.io/v1");
  CHECK(body["kind"] == "AdmissionReview");
  CHECK(body["response"]["uid"] == "u-1");
  return body["response"];
}

constexpr char kPod[] = R"({"metadata": {"generateName": "cart-7d-", "labels": {"pod-template-hash": "7d"},
  "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-7d"}]},
  "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}], "livenessProbe": {"tcpSocket": {"port": 80}}}]}})";

TEST_CASE("a new pod gets its sidecar by a patch") {
  const Tree review = request(kPod);
  const Reply answer = reply(review);
  CHECK(answer.verdict == Verdict::kInjected);
  const Tree said = response(answer);
  CHECK(said["allowed"] == true);
  CHECK(said["patchType"] == "JSONPatch");
  std::string patch;
  REQUIRE(absl::Base64Unescape(said["patch"].get<std::string>(), &patch));
  Tree patched = review["request"]["object"].patch(Tree::parse(patch));
  CHECK(patched["spec"]["initContainers"].size() == 2);
  // The workload that makes the pod names the service, without the hash.
  CHECK(patched["spec"]["initContainers"][1]["args"].dump().find(R"("--service","cart","--app-port","80")") !=
        std::string::npos);
  // What was injected is left alone from then on.
  Tree again = review;
  again["request"]["object"] = patched;
  const Reply second = reply(again);
  CHECK(second.verdict == Verdict::kLeft);
  CHECK(!response(second).contains("patch"));
}

TEST_CASE("what needs no sidecar is allowed without a word, or with one that helps") {
  const Tree out = response(reply(request(R"({"metadata": {"labels": {"weft.mesh/inject": "false"}},
                                              "spec": {"containers": [{"name": "a"}]}})")));
  CHECK(out.dump() == R"({"uid":"u-1","allowed":true})");
  const Tree host = response(reply(request(R"({"spec": {"hostNetwork": true, "containers": [{"name": "a"}]}})")));
  CHECK(host["allowed"] == true);
  REQUIRE(host["warnings"].size() == 1);
  CHECK(host["warnings"][0].get<std::string>().starts_with("weft: no sidecar: hostNetwork is true"));
  for (const char* operation : {"UPDATE", "DELETE", "CONNECT"}) {
    CHECK(response(reply(request(kPod, operation))).dump() == R"({"uid":"u-1","allowed":true})");
  }
  Tree other = request(kPod);
  other["request"]["object"]["kind"] = "PodTemplate";
  CHECK(reply(other).verdict == Verdict::kLeft);
  Tree none = request(kPod);
  none["request"]["object"] = nullptr;
  CHECK(reply(none).verdict == Verdict::kLeft);
}

TEST_CASE("a pod that says something wrong is not made") {
  const Reply answer = reply(request(R"({"metadata": {"annotations": {"weft.mesh/proxy-cpu": "lots"}},
                                         "spec": {"containers": [{"name": "a"}]}})"));
  CHECK(answer.verdict == Verdict::kRefused);
  const Tree out = response(answer);
  CHECK(out["allowed"] == false);
  CHECK(out["status"]["message"] ==
        "weft: metadata.annotations[\"weft.mesh/proxy-cpu\"]: expected a quantity such as 100m, 0.5, 64Mi or 1Gi; got "
        "\"lots\"");
}

TEST_CASE("what is no review is told so") {
  const auto told = [](const std::string& body) {
    const Reply answer = inject::review(default_settings(), body);
    CHECK(answer.status == 400);
    CHECK(answer.verdict == Verdict::kMalformed);
    return answer.body;
  };
  CHECK(
      told("") ==
      "the review:1:1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal\n");
  CHECK(told("{\"a\": 1").starts_with("the review:1:"));
  CHECK(told("[]") == "expected an AdmissionReview of admission.k8s.io/v1; got none \n");
  CHECK(told(R"({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "x"}})") ==
        "expected an AdmissionReview of admission.k8s.io/v1; got admission.k8s.io/v1beta1 AdmissionReview\n");
  CHECK(told(R"({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"})") ==
        "expected the review's request; got none\n");
  CHECK(told(R"({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}})") ==
        "expected request.uid, of at most 256 bytes\n");
  CHECK(told(std::string(200, '[')).find("within each other") != std::string::npos);
  std::string many = "[0";
  for (int i = 0; i < 30'000; ++i) many += ",0";
  CHECK(told(many + "]").find("more than 20000 values") != std::string::npos);
  CHECK(told("{\"a\": \"\xff\"}").find("no UTF-8") != std::string::npos);
}

}  // namespace
}  // namespace weft::control::inject
