#include "proxy/filter/ext_authz/ext_authz.h"

#include "envoy/service/auth/v3/external_auth.pb.h"
#include "tests/proxy/call/grpc_fixture.h"
#include "tests/proxy/filter/fake_stream.h"

namespace weft::filter {
namespace {

using envoy::service::auth::v3::CheckRequest;
using envoy::service::auth::v3::CheckResponse;

// A request whose filter asks a service over gRPC, behind the pools of a fake cluster.
struct AuthzFixture : call::GrpcFixture {
  AuthzFixture() : worker(context()), stream(&route) {
    stream.worker_context = &worker;
    stream.request_head().method = "POST";
    stream.request_head().method_id = http::Method::kPost;
    stream.request_head().authority = "a.example";
    stream.request_head().path = "/x";
    config.name = "authz";
    config.service.cluster = "c";
    config.stats = std::make_shared<observe::Family<AuthzStats>>("http.a.ext_authz.", "", "", 1);
  }
  ~AuthzFixture() {
    finish();
    loop.turn();
  }
  Verdict begin() {
    factory = make_authz_filter(config);
    filter = factory->make(stream);
    return filter->on_request_head(stream.request_head(), stream.ended);
  }
  // With a server that took the connection.
  void ask() {
    REQUIRE(begin() == Verdict::kPause);
    loop.turn();
    serve(0);
  }
  void answer(const CheckResponse& response) {
    arrive(0,
           call::grpc_head(1) + call::data(1, call::grpc_frame(response.SerializeAsString())) + call::trailers(1, "0"));
  }
  void more(std::string_view bytes, bool end) {
    stream.held.append(bytes);
    stream.ended = end;
    filter->on_held_body();
  }
  void finish() {
    if (filter == nullptr) return;
    filter->on_done();
    filter->~Filter();
    filter = nullptr;
  }
  CheckRequest asked() {
    CheckRequest request;
    REQUIRE(messages(0, 1).size() == 1);
    REQUIRE(request.ParseFromString(messages(0, 1)[0]));
    return request;
  }
  AuthzStats& counts() { return config.stats->of_worker(0); }
  static CheckResponse denial() {
    CheckResponse response;
    response.mutable_status()->set_code(7);
    return response;
  }
  uint64_t requests_in_flight() { return cluster->breakers(cluster::Priority::kDefault).requests(); }

  pool::WorkerContext worker;
  route::Route route;
  FakeStream stream;
  AuthzConfig config;
  FilterFactoryPtr factory;
  Filter* filter = nullptr;
};

}  // namespace

TEST_CASE("a request waits until the service allows it, and goes on with what the service said") {
  AuthzFixture f;
  f.config.refresh_route = true;
  f.ask();
  CHECK(f.asked().attributes().request().http().path() == "/x");
  CHECK(f.stream.resumes == 0);
  CheckResponse response;
  auto* header = response.mutable_ok_response()->add_headers();
  header->mutable_header()->set_key("X-User");
  header->mutable_header()->set_value("ann");
  auto* seen = response.mutable_ok_response()->add_response_headers_to_add();
  seen->mutable_header()->set_key("x-seen");
  seen->mutable_header()->set_value("1");
  f.answer(response);
  CHECK(f.stream.resumes == 1);
  CHECK(f.stream.replies == 0);
  CHECK(f.stream.route_refreshes == 1);
  CHECK(f.stream.request_head().headers.find("x-user")->value == "ann");
  base::Arena arena;
  http::ResponseHead head(arena);
  f.filter->on_response_head(head, true);
  CHECK(head.headers.find("x-seen")->value == "1");
  CHECK(f.counts().ok.value() == 1);
  CHECK(f.requests_in_flight() == 0);
  // Both ends of the call have said all.
  CHECK_FALSE(f.was_reset(0, 1));
}

TEST_CASE("a refusal is the service's, and counted where the request would have gone") {
  AuthzFixture f;
  f.ask();
  CheckResponse response = AuthzFixture::denial();
  response.mutable_denied_response()->mutable_status()->set_code(envoy::type::v3::Unauthorized);
  response.mutable_denied_response()->set_body("who are you?");
  f.config.max_denied_body_bytes = 0;
  f.answer(response);
  CHECK(f.stream.status == 401);
  CHECK(f.stream.body == "who are you?");
  CHECK(f.stream.header(http::HeaderId::kContentType) == "text/plain");
  CHECK(f.stream.cause == http::Cause::kAuthorizationDenied);
  CHECK(f.stream.resumes == 0);
  CHECK(f.counts().denied.value() == 1);
}

TEST_CASE("a long refusal is cut where the configuration says") {
  AuthzFixture f;
  f.config.max_denied_body_bytes = 3;
  f.ask();
  CheckResponse response = AuthzFixture::denial();
  response.mutable_denied_response()->set_body("who are you?");
  f.answer(response);
  CHECK(f.stream.status == 403);
  CHECK(f.stream.body == "who");
}

TEST_CASE("without a verdict the request is refused, or passes if it is to") {
  auto without = [](bool pass, const std::function<void(AuthzFixture&)>& happens, const std::string& reason) {
    AuthzFixture f;
    f.config.pass_on_failure = f.config.tell_passed_on_failure = pass;
    f.config.status_on_failure = 503;
    f.stream.request_head().headers.add("x-envoy-auth-failure-mode-allowed", "forged");
    REQUIRE(f.begin() == Verdict::kPause);
    f.loop.turn();
    happens(f);
    CHECK(f.counts().error.value() == 1);
    CHECK(f.counts().failure_mode_allowed.value() == (pass ? 1 : 0));
    CHECK(f.requests_in_flight() == 0);
    CHECK(f.stream.resumes == (pass ? 1 : 0));
    if (pass) {
      CHECK(f.stream.request_head().headers.find("x-envoy-auth-failure-mode-allowed")->value == "true");
      return;
    }
    CHECK(f.stream.status == 503);
    CHECK(f.stream.body.empty());
    CHECK(f.stream.cause == http::Cause::kAuthorizationFailed);
    CHECK(f.stream.detail.find("cluster c: " + reason) == 0);
  };
  for (bool pass : {false, true}) {
    without(
        pass,
        [](AuthzFixture& f) {
          f.wire(0).refuse();
          f.loop.turn();
        },
        "10.0.0.1:1: The endpoint refused the connection.");
    without(pass, [](AuthzFixture& f) { f.loop.advance_ms(200); }, "no answer came within 200 ms");
    without(
        pass,
        [](AuthzFixture& f) {
          f.serve(0);
          f.arrive(0, call::grpc_head(1) + call::trailers(1, "7", "not you"));
        },
        "10.0.0.1:1: the server ended the call with grpc-status 7: not you");
    without(
        pass,
        [](AuthzFixture& f) {
          f.serve(0);
          f.arrive(0, call::grpc_head(1) + call::trailers(1, "0"));
        },
        "the service ended the call without an answer");
    without(
        pass,
        [](AuthzFixture& f) {
          f.serve(0);
          f.arrive(0, call::grpc_head(1) + call::data(1, call::grpc_frame("") + call::grpc_frame("")));
        },
        "the service answered more than once");
    without(
        pass,
        [](AuthzFixture& f) {
          f.serve(0);
          f.arrive(0, call::grpc_head(1) + call::data(1, call::grpc_frame("\xff")) + call::trailers(1, "0"));
        },
        "the service's answer is no envoy.service.auth.v3.CheckResponse");
  }
}

TEST_CASE("an answer that asks for what nobody may do lets nothing pass") {
  AuthzFixture f;
  f.config.pass_on_failure = true;
  f.ask();
  CheckResponse response;
  auto* header = response.mutable_ok_response()->add_headers();
  header->mutable_header()->set_key("x-user");
  header->mutable_header()->set_value("a\r\nx-admin: 1");
  f.answer(response);
  CHECK(f.stream.status == 500);
  CHECK(f.stream.cause == http::Cause::kAuthorizationInvalid);
  CHECK(f.stream.resumes == 0);
  CHECK(f.counts().invalid.value() == 1);
}

TEST_CASE("a request that goes away takes its question with it") {
  AuthzFixture f;
  f.ask();
  REQUIRE(f.requests_in_flight() == 1);
  f.finish();
  f.loop.turn();
  CHECK(f.was_reset(0, 1));
  CHECK(f.requests_in_flight() == 0);
  CHECK(f.stream.replies == 0);
}

TEST_CASE("the service sees the body when it has come whole") {
  AuthzFixture f;
  f.config.facts.body = AuthzBody{5, false, false};
  REQUIRE(f.begin() == Verdict::kPause);
  CHECK(f.stream.wanted_body_bytes == 5);
  f.more("abc", false);
  f.loop.turn();
  CHECK(f.wires() == 0);
  f.more("de", true);
  f.loop.turn();
  f.serve(0);
  CHECK(f.asked().attributes().request().http().body() == "abcde");
}

TEST_CASE("a body that is too long is refused before the service hears of it, or told in part") {
  {
    AuthzFixture f;
    f.config.facts.body = AuthzBody{5, false, false};
    REQUIRE(f.begin() == Verdict::kPause);
    f.more("abcdef", false);
    CHECK(f.stream.status == 413);
    CHECK(f.stream.cause == http::Cause::kRequestTooLarge);
    f.more("ghi", true);
    f.loop.turn();
    CHECK(f.stream.replies == 1);
    CHECK(f.wires() == 0);
  }
  {
    AuthzFixture f;
    f.config.facts.body = AuthzBody{5, false, false};
    f.stream.request_head().has_content_length = true;
    f.stream.request_head().content_length = 6;
    CHECK(f.begin() == Verdict::kReply);
    CHECK(f.stream.status == 413);
  }
  {
    AuthzFixture f;
    f.config.facts.body = AuthzBody{5, true, true};
    REQUIRE(f.begin() == Verdict::kPause);
    f.more("abcdef", false);
    f.more("ghi", true);
    f.loop.turn();
    f.serve(0);
    CHECK(f.asked().attributes().request().http().raw_body() == "abcde");
  }
}

TEST_CASE("a request without a body, and one that may become a tunnel, are asked about at once") {
  for (bool tunnel : {false, true}) {
    AuthzFixture f;
    f.config.facts.body = AuthzBody{5, false, false};
    f.stream.ended = !tunnel;
    if (tunnel) f.stream.request_head().upgrade = "websocket";
    f.ask();
    CHECK(f.asked().attributes().request().http().body().empty());
  }
}

TEST_CASE("a route says for itself whether it is asked about, how much of the body is told, and what else") {
  {
    AuthzFixture f;
    auto own = std::make_shared<AuthzOverride>();
    own->disabled = true;
    f.route.overrides.push_back({"authz", own});
    CHECK(f.begin() == Verdict::kContinue);
    CHECK(f.counts().disabled.value() == 0);
  }
  {
    AuthzFixture f;
    f.config.facts.body = AuthzBody{5, false, false};
    auto own = std::make_shared<AuthzOverride>();
    own->without_body = true;
    own->extensions = {{"place", "route"}};
    f.route.overrides.push_back({"authz", own});
    f.ask();
    CHECK(f.asked().attributes().context_extensions().at("place") == "route");
  }
  {
    AuthzFixture f;
    auto own = std::make_shared<AuthzOverride>();
    own->body = AuthzBody{2, true, false};
    f.route.overrides.push_back({"authz", own});
    REQUIRE(f.begin() == Verdict::kPause);
    f.more("abc", false);
    f.loop.turn();
    f.serve(0);
    CHECK(f.asked().attributes().request().http().body() == "ab");
  }
}

TEST_CASE("what is not asked about passes, or is refused if that is said") {
  AuthzFixture f;
  f.config.denominator = 100;
  CHECK(f.begin() == Verdict::kContinue);
  CHECK(f.counts().disabled.value() == 1);
  f.finish();
  f.config.refuse_others = true;
  CHECK(f.begin() == Verdict::kReply);
  CHECK(f.stream.status == 403);
  CHECK(f.stream.cause == http::Cause::kAuthorizationFailed);
  CHECK(f.counts().disabled.value() == 2);
}

TEST_CASE("only requests with the metadata that is asked for are asked about") {
  auto verdict = [](const char* value) {
    AuthzFixture f;
    f.config.only.emplace();
    f.config.only->name = "jwt";
    f.config.only->path = {"ask"};
    f.config.only->value.kind = rbac::ValueMatch::Kind::kString;
    f.config.only->value.string.value = "yes";
    f.stream.metadata().set(f.stream.arena(), "jwt", "ask", http::MetadataValue::of(value));
    return f.begin();
  };
  CHECK(verdict("no") == Verdict::kContinue);
  CHECK(verdict("yes") == Verdict::kPause);
}

TEST_CASE("metadata of the answer is for later filters, unless it is not to be taken") {
  for (bool take : {false, true}) {
    AuthzFixture f;
    f.config.take_metadata = take;
    f.ask();
    CheckResponse response;
    (*response.mutable_dynamic_metadata()->mutable_fields())["user"].set_string_value("ann");
    f.answer(response);
    CHECK(f.stream.resumes == 1);
    std::string json;
    CHECK(f.stream.metadata().append_json(kAuthzMetadata, json) == take);
    CHECK((json.find("\"user\":\"ann\"") != std::string::npos) == take);
    CHECK((json.find("\"ext_authz_duration\":0") != std::string::npos) == take);
    CHECK(f.counts().ignored_dynamic_metadata.value() == (take ? 0 : 1));
  }
}

TEST_CASE("over HTTP the same is asked by a request of the same method and path") {
  AuthzFixture f;
  f.config.service.kind = AuthzService::Kind::kHttp;
  f.config.service.path_prefix = "/check";
  f.config.service.timeout_ms = 100;
  f.ask();
  f.arrive(0, call::head(1, "\x88", true));
  CHECK(f.stream.resumes == 1);
  AuthzFixture late;
  late.config.service = f.config.service;
  late.ask();
  late.loop.advance_ms(100);
  CHECK(late.stream.status == 403);
  CHECK(late.stream.detail == "cluster c: 10.0.0.1:1: no answer came within 100 ms");
  AuthzFixture connect;
  connect.config.service = f.config.service;
  connect.stream.request_head().path = {};
  CHECK(connect.begin() == Verdict::kPause);
  connect.loop.advance_ms(1);
  CHECK(connect.stream.detail == "cluster c: a request without a path cannot be asked about over HTTP");
}

}  // namespace weft::filter
