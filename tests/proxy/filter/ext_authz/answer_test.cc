#include "proxy/filter/ext_authz/answer.h"

#include <catch2/catch.hpp>

#include "envoy/service/auth/v3/external_auth.pb.h"

namespace weft::filter {
namespace {

namespace auth_v3 = envoy::service::auth::v3;
using Action = HeaderChange::Action;
using Kind = Answer::Kind;

std::string text_of(const std::vector<HeaderChange>& changes) {
  static constexpr const char* kActions[] = {"add", "join", "if absent", "set", "if present"};
  std::string text;
  for (const HeaderChange& each : changes) {
    text += each.name + "=" + each.value + " " + kActions[static_cast<size_t>(each.action)] + ";";
  }
  return text;
}

HeaderNames names(const std::vector<std::string>& list) {
  HeaderNames result;
  for (const std::string& each : list) result.patterns.push_back({route::StringMatcher::Kind::kExact, each, false, {}});
  return result;
}

struct HttpAnswer {
  HttpAnswer() : head(arena) {
    service.kind = AuthzService::Kind::kHttp;
    service.to_upstream = names({"x-user"});
    service.to_upstream_appended = names({"x-role"});
    service.to_client_on_success = names({"x-seen"});
    service.to_metadata = names({"x-meta"});
    for (const char* name : {"X-User", "x-role", "x-seen", "x-meta", "x-other"}) head.headers.add(name, "v");
    head.headers.add("x-envoy-auth-headers-to-remove", "X-Secret, ,x-b");
  }
  Answer read(uint16_t status) {
    head.status = status;
    return read_http_answer(service, head, "body", arena);
  }
  base::Arena arena;
  AuthzService service;
  http::ResponseHead head;
};

Answer read(const auth_v3::CheckResponse& response, base::Arena& arena) {
  return read_check_response(response.SerializeAsString(), arena);
}

void add(google::protobuf::RepeatedPtrField<envoy::config::core::v3::HeaderValueOption>* list, const char* name,
         int action, int append = -1) {
  auto* option = list->Add();
  option->mutable_header()->set_key(name);
  option->mutable_header()->set_value("v");
  option->set_append_action(static_cast<envoy::config::core::v3::HeaderValueOption::HeaderAppendAction>(action));
  if (append != -1) option->mutable_append()->set_value(append == 1);
}

}  // namespace

TEST_CASE("over HTTP, 200 allows, and the headers of the answer go where they may") {
  HttpAnswer answer;
  Answer read = answer.read(200);
  CHECK(read.kind == Kind::kAllowed);
  CHECK(text_of(read.request_headers) == "x-user=v set;x-role=v add;");
  CHECK(text_of(read.response_headers) == "x-seen=v add;");
  CHECK(read.removed_headers == std::vector<std::string>{"x-secret", "x-b"});
  REQUIRE(read.metadata.size() == 1);
  CHECK(read.metadata[0].key == "x-meta");
  CHECK(read.metadata[0].value.text == "v");
}

TEST_CASE("over HTTP, 5xx is no verdict, and everything else a refusal that goes to the client") {
  HttpAnswer answer;
  CHECK(answer.read(500).kind == Kind::kFailed);
  CHECK(answer.read(503).reason == "the service answered with HTTP status 503");
  for (uint16_t status : {201, 204, 302, 401, 403, 429}) {
    Answer read = answer.read(status);
    CHECK(read.kind == Kind::kDenied);
    CHECK(read.status == status);
    CHECK(read.body == "body");
    CHECK(text_of(read.response_headers) == "x-user=v add;x-role=v add;x-seen=v add;x-meta=v add;x-other=v add;");
    CHECK(read.request_headers.empty());
    CHECK(read.removed_headers.empty());
  }
  answer.service.to_client = names({"x-other"});
  answer.head.headers.add("Location", "/l");
  answer.head.headers.add("WWW-Authenticate", "Basic");
  CHECK(text_of(answer.read(401).response_headers) == "x-other=v add;location=/l add;www-authenticate=Basic add;");
}

TEST_CASE("over gRPC, only status OK allows") {
  base::Arena arena;
  auth_v3::CheckResponse response;
  CHECK(read(response, arena).kind == Kind::kAllowed);
  response.mutable_denied_response();
  CHECK(read(response, arena).kind == Kind::kAllowed);
  response.mutable_status()->set_code(7);
  CHECK(read(response, arena).kind == Kind::kDenied);
  response.mutable_ok_response();
  Answer denied = read(response, arena);
  CHECK(denied.kind == Kind::kDenied);
  CHECK(denied.status == 0);
  response.mutable_error_response()->mutable_status()->set_code(envoy::type::v3::ServiceUnavailable);
  Answer failed = read(response, arena);
  CHECK(failed.kind == Kind::kFailed);
  CHECK(failed.status == 503);
}

TEST_CASE("over gRPC, a header of the request replaces the caller's unless it is to be appended") {
  base::Arena arena;
  auth_v3::CheckResponse response;
  auto* headers = response.mutable_ok_response()->mutable_headers();
  for (int action = 0; action < 4; ++action) add(headers, "X-A", action);
  add(headers, "x-b", 0, 1);
  add(headers, "x-c", 0, 0);
  Answer answer = read(response, arena);
  CHECK(text_of(answer.request_headers) == "x-a=v set;x-a=v set;x-a=v set;x-a=v set;x-b=v join;x-c=v set;");
}

TEST_CASE("over gRPC, a header of the answer to the client is changed as its action says") {
  base::Arena arena;
  auth_v3::CheckResponse response;
  auto* headers = response.mutable_ok_response()->mutable_response_headers_to_add();
  for (int action = 0; action < 4; ++action) add(headers, "x-a", action);
  add(headers, "x-b", 2, 1);
  add(headers, "x-c", 0, 0);
  CHECK(text_of(read(response, arena).response_headers) ==
        "x-a=v add;x-a=v if absent;x-a=v set;x-a=v if present;x-b=v add;x-c=v set;");
  add(headers, "x-d", 77);
  Answer answer = read(response, arena);
  CHECK(answer.kind == Kind::kInvalid);
  CHECK(answer.reason == "the service asks for append_action 77, which there is not");
}

TEST_CASE("over gRPC, a refusal has the service's status, if an answer can have it, headers and body") {
  base::Arena arena;
  auth_v3::CheckResponse response;
  response.mutable_status()->set_code(16);
  response.mutable_denied_response()->set_body("no");
  add(response.mutable_denied_response()->mutable_headers(), "x-why", 0);
  auto status_of = [&](int status) {
    response.mutable_denied_response()->mutable_status()->set_code(static_cast<envoy::type::v3::StatusCode>(status));
    return read(response, arena).status;
  };
  CHECK(status_of(401) == 401);
  CHECK(status_of(299) == 299);
  for (int none : {0, -1, 100, 101, 199, 600, 70'000}) CHECK(status_of(none) == 0);
  Answer answer = read(response, arena);
  CHECK(answer.body == "no");
  CHECK(text_of(answer.response_headers) == "x-why=v add;");
}

TEST_CASE("over gRPC, metadata is taken over with all that is in it") {
  base::Arena arena;
  auth_v3::CheckResponse response;
  auto& fields = *response.mutable_dynamic_metadata()->mutable_fields();
  auto& inner = *fields["user"].mutable_struct_value()->mutable_fields();
  inner["name"].set_string_value("ann");
  inner["ids"].mutable_list_value()->add_values()->set_number_value(7);
  inner["ids"].mutable_list_value()->add_values()->set_bool_value(true);
  inner["none"].set_null_value(google::protobuf::NULL_VALUE);
  Answer answer = read(response, arena);
  REQUIRE(answer.metadata.size() == 1);
  const http::MetadataValue& user = answer.metadata[0].value;
  REQUIRE(user.find("name") != nullptr);
  CHECK(user.find("name")->text == "ann");
  std::string ids;
  user.find("ids")->append_json(ids);
  CHECK(ids == "[7,true]");
  CHECK(user.find("none")->kind == http::MetadataValue::Kind::kNull);
  (*response.mutable_ok_response()->mutable_dynamic_metadata()->mutable_fields())["old"].set_bool_value(true);
  CHECK(read(response, arena).metadata.at(0).key == "old");
}

TEST_CASE("bytes that are no answer are no verdict") {
  base::Arena arena;
  for (std::string_view bytes : {"\xff", "\x12\x05zz", "\x0a\xff\xff\xff\xff\x0f"}) {
    Answer answer = read_check_response(bytes, arena);
    CHECK(answer.kind == Kind::kFailed);
    CHECK(answer.reason == "the service's answer is no envoy.service.auth.v3.CheckResponse");
  }
  // Deeper than protobuf reads.
  google::protobuf::Value value;
  for (int i = 0; i < 200; ++i) {
    google::protobuf::Value outer;
    *outer.mutable_list_value()->add_values() = std::move(value);
    value = std::move(outer);
  }
  auth_v3::CheckResponse response;
  (*response.mutable_dynamic_metadata()->mutable_fields())["deep"] = std::move(value);
  CHECK(read(response, arena).kind == Kind::kFailed);
}

TEST_CASE("a question is told to the service with everything that is known") {
  transport::Address remote = transport::Address::parse_ip("10.0.0.1", 1234);
  transport::Address local = transport::Address::unix_path("/run/a");
  std::vector<std::pair<std::string, std::string>> labels{{"app", "cart"}};
  std::map<std::string, std::string> extensions{{"place", "route"}};
  Question question;
  question.time_ns = 1'500'000'007;
  question.method = "GET";
  question.path = "/x";
  question.protocol = "HTTP/2";
  question.headers = {{":path", "/x"}, {"x-a", "1"}};
  question.body = "text";
  question.body_bytes = 4;
  question.source = {&remote, "web", "spiffe://a", "PEM"};
  question.destination.address = &local;
  question.own_labels = &labels;
  question.extensions = &extensions;
  question.metadata = {{"jwt", {{"sub", http::MetadataValue::of("ann")}}}};
  question.has_tls_session = true;
  question.sni = "a.example";
  auto told = [&] {
    auth_v3::CheckRequest request;
    REQUIRE(request.ParseFromString(write_check_request(question)));
    return request.attributes();
  };
  auth_v3::AttributeContext attributes = told();
  CHECK(attributes.source().address().socket_address().address() == "10.0.0.1");
  CHECK(attributes.source().address().socket_address().port_value() == 1234);
  CHECK(attributes.source().service() == "web");
  CHECK(attributes.source().principal() == "spiffe://a");
  CHECK(attributes.source().certificate() == "PEM");
  CHECK(attributes.destination().address().pipe().path() == "/run/a");
  CHECK(attributes.destination().labels().at("app") == "cart");
  CHECK(attributes.context_extensions().at("place") == "route");
  CHECK(attributes.metadata_context().filter_metadata().at("jwt").fields().at("sub").string_value() == "ann");
  CHECK(attributes.tls_session().sni() == "a.example");
  CHECK(attributes.request().time().seconds() == 1);
  CHECK(attributes.request().time().nanos() == 500'000'007);
  CHECK(attributes.request().http().headers().at("x-a") == "1");
  CHECK(attributes.request().http().body() == "text");
  CHECK(attributes.request().http().size() == 4);
  CHECK_FALSE(attributes.request().http().has_header_map());
  question.raw_headers = question.body_as_bytes = true;
  attributes = told();
  CHECK(attributes.request().http().headers().empty());
  CHECK(attributes.request().http().header_map().headers(1).raw_value() == "1");
  CHECK(attributes.request().http().raw_body() == "text");
}

}  // namespace weft::filter
