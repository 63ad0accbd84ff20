#include "proxy/observe/access_log.h"

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/proxy/observe/record.h"

namespace weft::observe {
namespace {

struct Fixture {
  Fixture() {
    char path[] = "/tmp/weft-access-log-XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    folder = path;
    config.path = folder + "/log";
  }
  ~Fixture() {
    log.reset();
    for (const char* name : {"/log", "/old"}) unlink((folder + name).c_str());
    rmdir(folder.c_str());
  }
  void open() {
    auto made = make_access_log(config, 2, writer);
    REQUIRE(made.ok());
    log = *std::move(made);
  }
  // What has been written, once the worker's lines and the writer's queue are out.
  std::string written(const char* name = "/log") {
    for (uint32_t worker : {0u, 1u}) log->flush_worker(worker);
    writer->flush(60'000);
    std::ifstream file(folder + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  JsonField field(std::string name, std::string text, JsonField::Kind kind = JsonField::Kind::kFormat) {
    return {std::move(name), kind, std::move(text), {}};
  }

  std::string folder;
  AccessLogConfig config;
  std::shared_ptr<LogWriter> writer = LogWriter::make();
  std::shared_ptr<AccessLog> log;
  Exchange exchange;
};

TEST_CASE("lines of all workers reach the file, each whole and in the worker's order") {
  Fixture fixture;
  fixture.config.text_format = "%REQ(x-one)%-%RESPONSE_CODE%\n";
  fixture.open();
  fixture.log->record(fixture.exchange.record, 0);
  fixture.exchange.record.status = 404;
  fixture.log->record(fixture.exchange.record, 0);
  CHECK(fixture.written() == "1-200\n1-404\n");
  fixture.log->record(fixture.exchange.record, 1);
  CHECK(fixture.written() == "1-200\n1-404\n1-404\n");
}

TEST_CASE("a full buffer goes to the writer without being asked") {
  Fixture fixture;
  fixture.config.text_format = std::string(1000, 'x') + "\n";
  fixture.open();
  for (int i = 0; i < 17; ++i) fixture.log->record(fixture.exchange.record, 0);
  fixture.writer->flush(60'000);
  std::ifstream file(fixture.config.path, std::ios::ate);
  CHECK(file.tellg() >= 16 * 1024);
}

TEST_CASE("without a format there is Envoy's line") {
  Fixture fixture;
  fixture.open();
  fixture.log->record(fixture.exchange.record, 0);
  CHECK(fixture.written() ==
        "[2023-11-14T22:13:20.123Z] \"GET /old?q=1 HTTP/1.1\" 200 - 5 7 12 - \"-\" \"-\" \"-\" \"a.example\" "
        "\"10.0.0.2:80\"\n");
}

TEST_CASE("a JSON line: numbers and literals plain, absent values null, every byte of a text escaped as it must be") {
  Fixture fixture;
  JsonField nested = fixture.field("in", "", JsonField::Kind::kObject);
  nested.fields = {fixture.field("code", "%RESPONSE_CODE%")};
  fixture.config.json_format = {fixture.field("a\"b", "%REQ(x-odd)%"), fixture.field("none", "%REQ(x-none)%"),
                                fixture.field("mixed", "%RESPONSE_CODE% ok"),
                                fixture.field("flag", "true", JsonField::Kind::kLiteral), nested};
  fixture.open();
  fixture.exchange.request.headers.add("x-odd", "q\"\\\t\x7f\xe9");
  fixture.log->record(fixture.exchange.record, 0);
  CHECK(fixture.written() ==
        "{\"a\\\"b\":\"q\\\"\\\\\\u0009\\u007f\xc3\xa9\",\"none\":null,\"mixed\":\"200 ok\",\"flag\":true,"
        "\"in\":{\"code\":200}}\n");
}

TEST_CASE("absent values are left out of a JSON line where that is asked for") {
  Fixture fixture;
  fixture.config.omit_empty_values = true;
  fixture.config.json_format = {fixture.field("none", "%REQ(x-none)%"), fixture.field("one", "%REQ(x-one)%")};
  fixture.open();
  fixture.log->record(fixture.exchange.record, 0);
  CHECK(fixture.written() == "{\"one\":\"1\"}\n");
}

TEST_CASE("only what the filter lets pass is logged") {
  struct Failures final : LogFilter {
    bool passes(const RequestRecord& record) const override { return record.status >= 400; }
  };
  Fixture fixture;
  fixture.config.text_format = "%RESPONSE_CODE%\n";
  fixture.config.filter = std::make_shared<Failures>();
  fixture.open();
  for (uint16_t status : {200, 399, 400, 503}) {
    fixture.exchange.record.status = status;
    fixture.log->record(fixture.exchange.record, 0);
  }
  CHECK(fixture.written() == "400\n503\n");
}

TEST_CASE("after reopening, lines go to the new file; the one that was moved away keeps the old ones") {
  Fixture fixture;
  fixture.config.text_format = "%RESPONSE_CODE%\n";
  fixture.open();
  fixture.log->record(fixture.exchange.record, 0);
  REQUIRE(fixture.written() == "200\n");
  REQUIRE(rename(fixture.config.path.c_str(), (fixture.folder + "/old").c_str()) == 0);
  fixture.log->reopen();
  fixture.exchange.record.status = 201;
  fixture.log->record(fixture.exchange.record, 0);
  CHECK(fixture.written() == "201\n");
  CHECK(fixture.written("/old") == "200\n");
}

TEST_CASE("a file that cannot be opened and an operator that is not known are errors that say so") {
  Fixture fixture;
  fixture.config.path = fixture.folder + "/no/such/log";
  auto made = make_access_log(fixture.config, 1, fixture.writer);
  REQUIRE_FALSE(made.ok());
  CHECK(std::string(made.status().message()).find("no/such/log cannot be opened") != std::string::npos);
  fixture.config.path = fixture.folder + "/log";
  fixture.config.text_format = "%NO_SUCH%";
  CHECK_FALSE(make_access_log(fixture.config, 1, fixture.writer).ok());
  fixture.config.json_format = {fixture.field("a", "%NO_SUCH%")};
  CHECK_FALSE(make_access_log(fixture.config, 1, fixture.writer).ok());
}

}  // namespace
}  // namespace weft::observe
