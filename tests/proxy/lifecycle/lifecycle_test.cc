#include "proxy/lifecycle/lifecycle.h"

#include <signal.h>

#include <catch2/catch.hpp>

namespace weft::lifecycle {
namespace {

using Kind = Action::Kind;
using Actions = Lifecycle::Actions;

constexpr Lifecycle::Times kTimes{30'000, 5'000};
const Actions kNothing;

Actions start_application() { return {{Kind::kStartApplication}}; }
Actions application(int signal) { return {{Kind::kSignalApplication, signal}}; }
Actions proxy(int signal) { return {{Kind::kSignalProxy, signal}}; }
Actions end(int code) { return {{Kind::kEnd, code}}; }

Lifecycle running() {
  Lifecycle lifecycle(kTimes);
  CHECK(lifecycle.on_ready(0) == start_application());
  return lifecycle;
}

TEST_CASE("the application is held until the proxy is ready, and started once") {
  Lifecycle lifecycle(kTimes);
  CHECK(lifecycle.deadline_ms() == Lifecycle::kNever);
  CHECK(lifecycle.on_signal(SIGHUP, 0) == kNothing);
  CHECK(lifecycle.on_ready(100) == start_application());
  CHECK(lifecycle.on_ready(200) == kNothing);
}

TEST_CASE("a proxy that does not come up ends all, with its code") {
  Lifecycle lifecycle(kTimes);
  CHECK(lifecycle.on_proxy_ended(3, 100) == end(3));
  Lifecycle well(kTimes);
  CHECK(well.on_proxy_ended(0, 100) == end(1));
}

TEST_CASE("a signal before the application runs ends the proxy") {
  Lifecycle lifecycle(kTimes);
  CHECK(lifecycle.on_signal(SIGTERM, 0) == proxy(SIGTERM));
  CHECK(lifecycle.on_ready(1) == kNothing);
  CHECK(lifecycle.on_proxy_ended(0, 2) == end(128 + SIGTERM));
}

TEST_CASE("SIGTERM: inbound drains, then the application ends, then outbound") {
  Lifecycle lifecycle = running();
  CHECK(lifecycle.on_signal(SIGTERM, 1'000) == proxy(SIGTERM));
  CHECK(lifecycle.on_inbound_drained(2'000) == application(SIGTERM));
  CHECK(lifecycle.on_application_ended(7, 3'000) == proxy(SIGTERM));
  CHECK(lifecycle.on_proxy_ended(0, 3'100) == end(7));
}

TEST_CASE("all of it has one deadline") {
  Lifecycle lifecycle = running();
  lifecycle.on_signal(SIGTERM, 1'000);
  CHECK(lifecycle.deadline_ms() == 21'000);
  CHECK(lifecycle.on_time(20'999) == kNothing);
  CHECK(lifecycle.on_time(21'000) == application(SIGTERM));
  CHECK(lifecycle.on_inbound_drained(22'000) == kNothing);
  CHECK(lifecycle.deadline_ms() == 30'000);
  CHECK(lifecycle.on_time(30'000) == application(SIGKILL));
  CHECK(lifecycle.on_application_ended(128 + SIGKILL, 30'010) == proxy(SIGTERM));
  CHECK(lifecycle.on_time(31'010) == proxy(SIGKILL));
  CHECK(lifecycle.on_proxy_ended(128 + SIGKILL, 31'020) == end(128 + SIGKILL));
}

TEST_CASE("a second SIGTERM does not wait for inbound exchanges") {
  Lifecycle lifecycle = running();
  lifecycle.on_signal(SIGINT, 1'000);
  CHECK(lifecycle.on_signal(SIGINT, 1'500) == application(SIGTERM));
}

TEST_CASE("other signals are the application's") {
  Lifecycle lifecycle = running();
  CHECK(lifecycle.on_signal(SIGHUP, 0) == application(SIGHUP));
  lifecycle.on_signal(SIGTERM, 0);
  CHECK(lifecycle.on_signal(SIGUSR2, 0) == application(SIGUSR2));
}

TEST_CASE("it ends when the application ends, with its exit code") {
  for (int code : {0, 5, 128 + SIGSEGV}) {
    Lifecycle lifecycle = running();
    CHECK(lifecycle.on_application_ended(code, 1'000) == proxy(SIGTERM));
    CHECK(lifecycle.deadline_ms() == 6'000);
    CHECK(lifecycle.on_inbound_drained(1'200) == proxy(SIGTERM));
    CHECK(lifecycle.on_proxy_ended(0, 1'300) == end(code));
  }
}

TEST_CASE("an application that ends while inbound drains ends the proxy at once") {
  Lifecycle lifecycle = running();
  lifecycle.on_signal(SIGTERM, 0);
  CHECK(lifecycle.on_application_ended(0, 10) == proxy(SIGTERM));
  CHECK(lifecycle.on_proxy_ended(0, 20) == end(0));
}

TEST_CASE("without its proxy the application does not go on") {
  Lifecycle lifecycle = running();
  CHECK(lifecycle.on_proxy_ended(128 + SIGSEGV, 1'000) == application(SIGTERM));
  CHECK(lifecycle.on_time(lifecycle.deadline_ms()) == application(SIGKILL));
  CHECK(lifecycle.on_application_ended(128 + SIGKILL, 40'000) == end(1));
}

TEST_CASE("a proxy that says nothing after the application ended is not waited for long") {
  Lifecycle lifecycle = running();
  lifecycle.on_application_ended(0, 1'000);
  CHECK(lifecycle.on_time(6'000) == proxy(SIGTERM));
  CHECK(lifecycle.on_time(7'000) == proxy(SIGKILL));
  CHECK(lifecycle.on_proxy_ended(128 + SIGKILL, 7'001) == end(0));
}

}  // namespace
}  // namespace weft::lifecycle
