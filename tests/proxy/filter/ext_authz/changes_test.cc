#include "proxy/filter/ext_authz/changes.h"

#include <catch2/catch.hpp>

namespace weft::filter {
namespace {

using Action = HeaderChange::Action;
using Operation = ChangeRules::Operation;

struct Request {
  Request() : head(arena) {
    head.method_id = http::Method::kGet;
    head.method = "GET";
    head.scheme = "http";
    head.authority = "a.example";
    head.path = "/x?a=1";
    head.headers.add("X-User", "caller");
    head.headers.add("content-length", "3");
  }
  absl::Status change(const Answer& answer, const ChangeRules* rules = nullptr) {
    return change_request(answer, rules, limits, head);
  }
  absl::Status set(const std::string& name, const std::string& value, Action action = Action::kSet) {
    Answer answer;
    answer.request_headers = {{name, value, action}};
    return change(answer);
  }
  // All with the name, in their order.
  std::string all(std::string_view name) {
    std::string result;
    for (const http::Header& each : head.headers) {
      if (http::equals_ignoring_case(each.name, name)) result += (result.empty() ? "" : "|") + std::string(each.value);
    }
    return result;
  }

  base::Arena arena;
  http::RequestHead head;
  RequestLimits limits;
};

}  // namespace

TEST_CASE("a header is set, added, joined or left, as the change says") {
  auto after = [](Action action, const std::string& name) {
    Request request;
    REQUIRE(request.set(name, "s", action).ok());
    return request.all(name);
  };
  CHECK(after(Action::kSet, "x-user") == "s");
  CHECK(after(Action::kSet, "x-new") == "s");
  CHECK(after(Action::kAdd, "x-user") == "caller|s");
  CHECK(after(Action::kAdd, "x-new") == "s");
  CHECK(after(Action::kJoin, "x-user") == "caller,s");
  CHECK(after(Action::kJoin, "x-new").empty());
  CHECK(after(Action::kAddIfAbsent, "x-user") == "caller");
  CHECK(after(Action::kAddIfAbsent, "x-new") == "s");
  CHECK(after(Action::kSetIfPresent, "x-user") == "s");
  CHECK(after(Action::kSetIfPresent, "x-new").empty());
}

TEST_CASE("what frames a message or belongs to one hop is left as it is") {
  for (const char* name : {"content-length", "transfer-encoding", "connection", "te", "upgrade", "keep-alive",
                           "proxy-connection", "trailer", "http2-settings"}) {
    INFO(name);
    Request request;
    std::string before = request.all(name);
    REQUIRE(request.set(name, "0").ok());
    REQUIRE(request.set(name, "0", Action::kAdd).ok());
    Answer removal;
    removal.removed_headers = {name};
    REQUIRE(request.change(removal).ok());
    CHECK(request.all(name) == before);
  }
}

TEST_CASE("what is no header of HTTP is refused, and so is a value that would end the line") {
  for (auto [name, value] : std::initializer_list<std::pair<const char*, const char*>>{{"", "a"},
                                                                                       {"x y", "a"},
                                                                                       {"x\r\nz", "a"},
                                                                                       {"x:", "a"},
                                                                                       {"::path", "/"},
                                                                                       {"x", "a\r\nb"},
                                                                                       {"x", "a\nb"},
                                                                                       {"x", "a\x01"},
                                                                                       {"x", "\x7f"},
                                                                                       {":status", "200"},
                                                                                       {":protocol", "websocket"}}) {
    INFO(name << ": " << value);
    Request request;
    CHECK_FALSE(request.set(name, value).ok());
  }
  Request request;
  CHECK_FALSE(request.set("x", std::string("a\0b", 3)).ok());
  CHECK(check_headers({{"x", "a", Action::kSet}}).ok());
  CHECK_FALSE(check_headers({{"x", "a", Action::kSet}, {"y", "\n", Action::kAdd}}).ok());
}

TEST_CASE("path, host, method and scheme can be set to what they can be") {
  Request request;
  REQUIRE(request.set(":path", "/other?b=2").ok());
  REQUIRE(request.set("host", "b.example:80").ok());
  REQUIRE(request.set(":method", "PUT").ok());
  REQUIRE(request.set(":scheme", "https").ok());
  CHECK(request.head.path == "/other?b=2");
  CHECK(request.head.authority == "b.example:80");
  CHECK(request.head.method == "PUT");
  CHECK(request.head.method_id == http::Method::kPut);
  CHECK(request.head.scheme == "https");
  REQUIRE(request.set(":authority", "c.example").ok());
  CHECK(request.head.authority == "c.example");
  // There is one of each: to add another means nothing.
  REQUIRE(request.set("host", "d.example", Action::kAdd).ok());
  REQUIRE(request.set(":path", "/d", Action::kJoin).ok());
  CHECK(request.head.authority == "c.example");
  CHECK(request.head.path == "/other?b=2");
  CHECK(request.all("host").empty());
  for (auto [name, value] : std::initializer_list<std::pair<const char*, const char*>>{{":path", ""},
                                                                                       {":path", "x"},
                                                                                       {":path", "/a b"},
                                                                                       {":path", "/a#b"},
                                                                                       {"host", ""},
                                                                                       {"host", "a/b"},
                                                                                       {":authority", "u@h"},
                                                                                       {":method", "CONNECT"},
                                                                                       {":method", "G T"},
                                                                                       {":method", ""},
                                                                                       {":scheme", "ftp"}}) {
    INFO(name << ": " << value);
    CHECK_FALSE(request.set(name, value).ok());
  }
}

TEST_CASE("headers are removed, but never host and pseudo-headers") {
  Request request;
  Answer answer;
  answer.removed_headers = {"x-user", "host", ":path", ":method", "x-none"};
  REQUIRE(request.change(answer).ok());
  CHECK(request.all("x-user").empty());
  CHECK(request.head.authority == "a.example");
  CHECK(request.head.path == "/x?a=1");
}

TEST_CASE("rules forbid as Envoy's do, and what is forbidden is left out or is an error") {
  ChangeRules rules;
  CHECK(rules.allow(Operation::kSet, "x-user"));
  CHECK(rules.allow(Operation::kSet, ":path"));
  CHECK_FALSE(rules.allow(Operation::kAppend, ":path"));
  CHECK_FALSE(rules.allow(Operation::kRemove, ":path"));
  CHECK_FALSE(rules.allow(Operation::kSet, "host"));
  CHECK_FALSE(rules.allow(Operation::kSet, ":method"));
  CHECK_FALSE(rules.allow(Operation::kSet, "x-envoy-internal"));
  rules.no_system = true;
  CHECK_FALSE(rules.allow(Operation::kSet, ":path"));
  rules.routing = rules.envoy = true;
  CHECK(rules.allow(Operation::kSet, "host"));
  CHECK(rules.allow(Operation::kSet, "x-envoy-internal"));
  rules.none = true;
  rules.allowed = *route::Regex::compile("x-free.*");
  rules.forbidden = *route::Regex::compile("x-free-not");
  CHECK_FALSE(rules.allow(Operation::kSet, "x-user"));
  CHECK(rules.allow(Operation::kSet, "x-free-1"));
  CHECK_FALSE(rules.allow(Operation::kSet, "x-free-not"));

  Request request;
  Answer answer;
  answer.request_headers = {{"x-user", "s", Action::kSet}, {"x-free", "s", Action::kSet}};
  REQUIRE(request.change(answer, &rules).ok());
  CHECK(request.all("x-user") == "caller");
  CHECK(request.all("x-free") == "s");
  rules.forbidden_is_error = true;
  CHECK_FALSE(request.change(answer, &rules).ok());
  answer.request_headers.clear();
  answer.removed_headers = {"x-user"};
  CHECK_FALSE(request.change(answer, &rules).ok());
}

TEST_CASE("a service cannot make a request larger than it may be") {
  Request request;
  request.limits.max_headers = 3;
  REQUIRE(request.set("x-1", "1").ok());
  CHECK_FALSE(request.set("x-2", "1").ok());
  request.limits = {100, 1000};
  REQUIRE(request.set("x-2", std::string(500, 'x')).ok());
  CHECK_FALSE(request.set("x-3", std::string(500, 'x')).ok());
}

TEST_CASE("query parameters are set and removed, and the others stay byte by byte") {
  using Set = std::vector<std::pair<std::string, std::string>>;
  CHECK(change_query("/x?b=1&a=1&z=%20&a=2&flag", Set{{"a", "9"}, {"n", "1"}}, {"z"}) == "/x?b=1&a=9&flag&n=1");
  CHECK(change_query("/x", Set{{"a", "1"}}, {}) == "/x?a=1");
  CHECK(change_query("/x?a=1", {}, {"a"}) == "/x");
  CHECK(change_query("/x?", {}, {"a"}) == "/x");
  CHECK(change_query("/x?a", Set{{"a", ""}}, {}) == "/x?a=");
  for (auto [name, value] : std::initializer_list<std::pair<const char*, const char*>>{{"", "a"},
                                                                                       {"a=b", "c"},
                                                                                       {"a", "b&c"},
                                                                                       {"a", "b#c"},
                                                                                       {"a", "b c"},
                                                                                       {"a", "%2"},
                                                                                       {"a", "%zz"},
                                                                                       {"a\n", "b"}}) {
    INFO(name << "=" << value);
    Request request;
    Answer answer;
    answer.query_set = {{name, value}};
    CHECK_FALSE(request.change(answer).ok());
  }
  Request request;
  Answer answer;
  answer.query_set = {{"q", "a%20b=c"}};
  answer.query_removed = {"a", "\r\n"};
  REQUIRE(request.change(answer).ok());
  CHECK(request.head.path == "/x?q=a%20b=c");
}

TEST_CASE("a reply has each header as often as the service said it, and none of the proxy's own of that name") {
  base::Arena arena;
  http::HeaderMap headers(arena);
  headers.add("content-type", "text/plain");
  set_reply_headers({{"set-cookie", "a", Action::kAdd},
                     {"set-cookie", "b", Action::kSet},
                     {"content-type", "text/html", Action::kAdd},
                     {"content-length", "9", Action::kAdd},
                     {":status", "500", Action::kAdd},
                     {"host", "h", Action::kAdd}},
                    headers);
  std::string all;
  for (const http::Header& each : headers) all += std::string(each.name) + "=" + std::string(each.value) + ";";
  CHECK(all == "set-cookie=a;set-cookie=b;content-type=text/html;");
}

}  // namespace weft::filter
