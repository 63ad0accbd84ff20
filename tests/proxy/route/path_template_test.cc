#include "proxy/route/path_template.h"

#include <catch2/catch.hpp>

#include <string>

namespace weft::route {
namespace {

bool matches(std::string_view text, std::string_view path) {
  auto compiled = compile_path_template(text);
  REQUIRE(compiled.ok());
  return (*compiled)->matches(path);
}

}  // namespace

TEST_CASE("a star stands for what is within one segment and not empty") {
  CHECK(matches("/cart/*", "/cart/7"));
  CHECK_FALSE(matches("/cart/*", "/cart/"));
  CHECK_FALSE(matches("/cart/*", "/cart/7/8"));
  CHECK(matches("/v/*/*.m4s", "/v/hls/1.m4s"));
  CHECK_FALSE(matches("/v/*/*.m4s", "/v/hls/1xm4s"));
}

TEST_CASE("two stars stand for any rest") {
  CHECK(matches("/cart/**", "/cart/"));
  CHECK(matches("/cart/**", "/cart/7/8"));
  CHECK_FALSE(matches("/cart/**", "/cart"));
  CHECK(matches("/**.mpd", "/a/b/c.mpd"));
  CHECK_FALSE(matches("/**.mpd", "/a/b/c.mp4"));
}

TEST_CASE("a variable stands for its pattern, or for a star") {
  CHECK(matches("/users/{id}/cart", "/users/7/cart"));
  CHECK_FALSE(matches("/users/{id}/cart", "/users/7/8/cart"));
  CHECK(matches("/{rest=static/**}", "/static/a/b"));
  CHECK_FALSE(matches("/{rest=static/**}", "/other/a"));
}

TEST_CASE("text is text, and paths that are none do not match") {
  CHECK(matches("/a.b+c", "/a.b+c"));
  CHECK_FALSE(matches("/a.b+c", "/axbbc"));
  CHECK_FALSE(matches("/cart/*", "/cart/\"7\""));
  CHECK_FALSE(matches("/cart/**", "/cart/a\nb"));
}

TEST_CASE("templates that are wrong are refused with what is wrong") {
  auto error = [](std::string_view text) { return std::string(compile_path_template(text).status().message()); };
  CHECK(error("cart").find("leading /") != std::string::npos);
  CHECK(error("/a//b").find("two slashes") != std::string::npos);
  CHECK(error("/**/a/*").find("must be the last") != std::string::npos);
  CHECK(error("/**/{a}").find("must be the last") != std::string::npos);
  CHECK(error("/***").find("three stars") != std::string::npos);
  CHECK(error("/{a").find("without its }") != std::string::npos);
  CHECK(error("/a}").find("without its {") != std::string::npos);
  CHECK(error("/{}").find("begin with a letter") != std::string::npos);
  CHECK(error("/{a=}").find("empty pattern") != std::string::npos);
  CHECK(error("/{a}/{a}").find("one name") != std::string::npos);
  CHECK(error("/{a={b}}").find("within a variable") != std::string::npos);
  CHECK(error("/{a}/{b}/{c}/{d}/{e}/{f}").find("5 variables") != std::string::npos);
  CHECK(error("/a b").find("no path has") != std::string::npos);
}

}  // namespace weft::route
