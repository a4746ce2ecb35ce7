#include "service/switch/protocol/http_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace fairlead::protocol {
namespace {

using namespace std::string_literals;

/// A head with the bytes it refers to, on the heap at their exact size, so that a read past the end
/// is seen by AddressSanitizer.
struct Parsed {
  std::unique_ptr<uint8_t[]> bytes;
  std::unique_ptr<HttpHead> head = std::make_unique<HttpHead>();
  std::expected<bool, HttpFault> result = false;

  Parsed(HttpHeadParser parser, std::string_view text)
      : bytes(std::make_unique_for_overwrite<uint8_t[]>(text.size())) {
    std::memcpy(bytes.get(), text.data(), text.size());
    result = parser.parse({bytes.get(), text.size()}, *head);
  }
  const HttpHead* operator->() const { return head.get(); }
};

Parsed request(std::string_view text) {
  Parsed parsed(HttpHeadParser::request(), text);
  EXPECT_TRUE(parsed.result) << http_fault_name(parsed.result.error()) << "\n" << text;
  EXPECT_TRUE(*parsed.result) << "incomplete\n" << text;
  return parsed;
}

Parsed response(std::string_view text, RequestMethod method = RequestMethod::kOther) {
  Parsed parsed(HttpHeadParser::response(method), text);
  EXPECT_TRUE(parsed.result) << http_fault_name(parsed.result.error()) << "\n" << text;
  EXPECT_TRUE(*parsed.result) << "incomplete\n" << text;
  return parsed;
}

/// "bare_lf", "incomplete" or "head".
std::string outcome(HttpHeadParser parser, std::string_view text) {
  const Parsed parsed(parser, text);
  if (!parsed.result) return std::string(http_fault_name(parsed.result.error()));
  return *parsed.result ? "head" : "incomplete";
}

struct Case {
  const char* clause;
  std::string text;
  std::string outcome;
};

std::string get_with(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

TEST(HttpHead, EveryRequestIsTakenOrRefusedForItsReason) {
  const std::vector<Case> cases = {
      // Start line
      {"RFC 9112 §2.2: leading empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head"},
      {"RFC 9112 §2.2: our bound", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n", "leading_empty_lines"},
      {"RFC 9112 §2.2: leading bare LF", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare_lf"},
      {"RFC 9112 §2.2: leading bare CR", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare_cr"},
      {"RFC 9112 §2.2: leading whitespace", " GET / HTTP/1.1\r\n", "start_line"},
      {"RFC 9112 §2.2: whitespace before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
       "obs_fold"},
      {"RFC 9112 §3: several spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §3: several spaces", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §3: trailing space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §3: tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §3: space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §3: no version (HTTP/0.9)", "GET /\r\n\r\n", "start_line"},
      {"RFC 9112 §3: empty method", "/ HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9110 §9.1: method is a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9110 §9.1: unknown method", "GETX / HTTP/1.1\r\nHost: a\r\n\r\n", "method"},
      {"RFC 9110 §9.1: methods are case-sensitive", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "method"},
      {"RFC 9112 §2.3: version", "GET / http/1.1\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §2.3: version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §2.3: version", "GET / HTTP/11\r\nHost: a\r\n\r\n", "start_line"},
      {"RFC 9112 §2.3: version", "GET / ICE/1.0\r\n\r\n", "start_line"},
      {"RFC 9110 §15.6.6", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"},
      {"RFC 9110 §15.6.6", "GET / HTTP/0.9\r\n\r\n", "version"},
      {"RFC 9110 §2.5: our deviation", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "version"},
      {"RFC 9113 §3.4: HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"},
      {"RFC 8446 §5.1: TLS", "\x16\x03\x01", "control_character"},
      // Target
      {"RFC 9112 §3.2.1", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 3986 §3.5: fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 3986 §2: not ASCII", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9112 §3.2.4", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9112 §3.2.4", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "head"},
      {"RFC 9112 §3.2.4", "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9112 §3.2.3", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "head"},
      {"RFC 9112 §3.2.3", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9112 §3.2.3", "CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n", "target"},
      {"RFC 9112 §3.2.3", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9112 §3.2.2", "GET http://A/b HTTP/1.1\r\nHost: a\r\n\r\n", "head"},
      {"RFC 9112 §3.2.2: differing host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
       "host_differs"},
      {"RFC 9112 §3.2.2: differing port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
       "host_differs"},
      {"RFC 9110 §4.2.4: userinfo", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
      {"RFC 9110 §4.2.1: empty host", "GET http:///a HTTP/1.1\r\nHost:\r\n\r\n", "target"},
      // Host
      {"RFC 9112 §3.2: missing", "GET / HTTP/1.1\r\n\r\n", "host_missing"},
      {"RFC 9112 §3.2: missing", "GET http://a/ HTTP/1.1\r\n\r\n", "host_missing"},
      {"RFC 9112 §3.2: 1.0 needs none", "GET / HTTP/1.0\r\n\r\n", "head"},
      {"RFC 9112 §3.2: empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "head"},
      {"RFC 9112 §3.2: twice", get_with("Host: b\r\n"), "host_repeated"},
      {"RFC 9112 §3.2: twice the same", get_with("host: a\r\n"), "host_repeated"},
      {"RFC 9112 §3.2: list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "host_invalid"},
      {"RFC 9110 §7.2", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "host_invalid"},
      {"RFC 3986 §3.2.2", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "head"},
      {"RFC 3986 §3.2.2", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "host_invalid"},
      {"RFC 3986 §3.2.2", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "host_invalid"},
      // Lines and characters
      {"RFC 9112 §2.2: bare LF in start line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "bare_lf"},
      {"RFC 9112 §2.2: bare LF in field", "GET / HTTP/1.1\r\nHost: a\n\r\n", "bare_lf"},
      {"RFC 9112 §2.2: bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "bare_lf"},
      {"RFC 9112 §2.2: bare LF in name", "GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", "bare_lf"},
      {"RFC 9112 §2.2: bare CR in start line", "GET /\r HTTP/1.1\r\n", "bare_cr"},
      {"RFC 9112 §2.2: bare CR in value", get_with("A: b\rc\r\n"), "bare_cr"},
      {"RFC 9112 §2.2: bare CR at line start", get_with("\rA: b\r\n"), "bare_cr"},
      {"RFC 9112 §2.2: CR CR LF", get_with("A: b\r\r\n"), "bare_cr"},
      {"RFC 9110 §5.5: NUL in value", get_with("A: b\0c\r\n"s), "control_character"},
      {"RFC 9110 §5.5: NUL in long value", get_with("A: 0123456789\0c\r\n"s), "control_character"},
      {"RFC 9112 §3: NUL in target", "GET /\0 HTTP/1.1\r\n"s, "control_character"},
      {"RFC 9110 §5.5: DEL in value", get_with("A: b\x7f\r\n"), "control_character"},
      {"RFC 9110 §5.5: tab and obs-text in value", get_with("A: b\tc\xff 0123456789\r\n"), "head"},
      {"RFC 9112 §5.2: obs-fold", get_with("A: b\r\n c\r\n"), "obs_fold"},
      {"RFC 9112 §5.2: obs-fold with tab", get_with("A: b\r\n\tc\r\n"), "obs_fold"},
      {"RFC 9112 §5.1: space before colon", get_with("A : b\r\n"), "field_name_space"},
      {"RFC 9112 §5.1: tab before colon", get_with("A\t: b\r\n"), "field_name_space"},
      {"RFC 9112 §5.1: space in name", get_with("Content Length: 1\r\n"), "field_name_space"},
      {"RFC 9110 §5.1: empty name", get_with(": b\r\n"), "field_name"},
      {"RFC 9110 §5.1: no colon", get_with("A\r\n"), "field_name"},
      {"RFC 9110 §5.1: not a token", get_with("A(b): c\r\n"), "field_name"},
      {"RFC 9110 §5.1: not ASCII", get_with("A\x80: c\r\n"), "field_name"},
      {"RFC 9110 §5.1: NUL in name", get_with("A\0: c\r\n"s), "field_name"},
      // Framing
      {"RFC 9112 §6.3 item 3", get_with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
       "length_and_coding"},
      {"RFC 9112 §6.3 item 3", get_with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
       "length_and_coding"},
      {"RFC 9112 §6.3 item 5", get_with("Content-Length: 1\r\nContent-Length: 2\r\n"),
       "content_length_repeated"},
      {"RFC 9112 §6.3 item 5", get_with("Content-Length: 1\r\ncontent-length: 1\r\n"),
       "content_length_repeated"},
      {"RFC 9110 §8.6: list", get_with("Content-Length: 1, 1\r\n"), "content_length"},
      {"RFC 9110 §8.6: before Host", "GET / HTTP/1.1\r\nContent-Length: x\r\nHost: a\r\n\r\n",
       "content_length"},
      {"RFC 9110 §8.6: sign", get_with("Content-Length: +1\r\n"), "content_length"},
      {"RFC 9110 §8.6: sign", get_with("Content-Length: -1\r\n"), "content_length"},
      {"RFC 9110 §8.6: hexadecimal", get_with("Content-Length: 0x1\r\n"), "content_length"},
      {"RFC 9110 §8.6: empty", get_with("Content-Length:\r\n"), "content_length"},
      {"RFC 9110 §8.6: empty", get_with("Content-Length: \t\r\n"), "content_length"},
      {"RFC 9110 §8.6: two numbers", get_with("Content-Length: 1 1\r\n"), "content_length"},
      {"RFC 9110 §8.6: 2^64", get_with("Content-Length: 18446744073709551616\r\n"),
       "content_length"},
      {"RFC 9110 §8.6: whitespace around", get_with("Content-Length:  1 \r\n"), "head"},
      {"RFC 9112 §6.3 item 4", get_with("Transfer-Encoding: gzip\r\n"), "transfer_coding"},
      {"RFC 9112 §6.1: chunked not last", get_with("Transfer-Encoding: chunked, gzip\r\n"),
       "transfer_coding"},
      {"RFC 9112 §6.1: chunked twice", get_with("Transfer-Encoding: chunked, chunked\r\n"),
       "transfer_coding"},
      {"RFC 9112 §6.1: two fields",
       get_with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), "transfer_coding"},
      {"RFC 9112 §6.1: empty", get_with("Transfer-Encoding:\r\n"), "transfer_coding"},
      {"RFC 9112 §6.1: empty member", get_with("Transfer-Encoding: chunked,\r\n"),
       "transfer_coding"},
      {"RFC 9112 §6.1: empty member", get_with("Transfer-Encoding: ,chunked\r\n"),
       "transfer_coding"},
      {"RFC 9112 §7: parameter", get_with("Transfer-Encoding: chunked;a=b\r\n"), "transfer_coding"},
      {"RFC 9112 §7: quoted", get_with("Transfer-Encoding: \"chunked\"\r\n"), "transfer_coding"},
      {"RFC 9112 §7: control character",
       get_with("Transfer-Encoding: \x0b"
                "chunked\r\n"),
       "control_character"},
      {"RFC 9112 §6.1: unknown", get_with("Transfer-Encoding: xchunked\r\n"), "transfer_coding"},
      {"RFC 9112 §6.1: unknown", get_with("Transfer-Encoding: identity, chunked\r\n"),
       "transfer_coding_unknown"},
      {"RFC 9112 §6.1: known before chunked", get_with("Transfer-Encoding: gzip, Chunked\r\n"),
       "head"},
      {"RFC 9112 §6.1: in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       "transfer_coding_in_http_1_0"},
      // Not yet anything
      {"nothing", "", "incomplete"},
      {"half a line end", "GET / HTTP/1.1\r\nHost: a\r\n\r", "incomplete"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(outcome(HttpHeadParser::request(), test.text), test.outcome) << test.clause << "\n"
                                                                           << test.text;
  }
}

TEST(HttpHead, EveryResponseIsTakenOrRefusedForItsReason) {
  const std::vector<Case> cases = {
      {"RFC 9112 §4", "HTTP/1.1 200 OK\r\n\r\n", "head"},
      {"RFC 9112 §4: empty reason", "HTTP/1.1 200 \r\n\r\n", "head"},
      {"RFC 9112 §4: no space either", "HTTP/1.1 200\r\n\r\n", "head"},
      {"RFC 9112 §4: obs-text in reason", "HTTP/1.1 200 \xe4\t!\r\n\r\n", "head"},
      {"RFC 9112 §4: status", "HTTP/1.1 20 OK\r\n\r\n", "start_line"},
      {"RFC 9112 §4: status", "HTTP/1.1 2000 OK\r\n\r\n", "start_line"},
      {"RFC 9110 §15: status", "HTTP/1.1 099 OK\r\n\r\n", "start_line"},
      {"RFC 9112 §4: several spaces", "HTTP/1.1  200 OK\r\n\r\n", "start_line"},
      {"RFC 9112 §2.3: version", "HTTQ/1.1 200 OK\r\n\r\n", "start_line"},
      {"RFC 9112 §2.3: version", "HTTP/2.0 200 OK\r\n\r\n", "version"},
      {"RFC 9112 §2.2: no leading empty line", "\r\nHTTP/1.1 200 OK\r\n\r\n", "start_line"},
      {"RFC 9112 §2.2", "HTTP/1.1 200 OK\n\n", "bare_lf"},
      {"RFC 9112 §5.2", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obs_fold"},
      {"RFC 9112 §6.3 item 3",
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "length_and_coding"},
      {"RFC 9112 §6.3 item 5", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
       "content_length_repeated"},
      {"RFC 9112 §6.3 item 4: refused, not until close",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer_coding"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(outcome(HttpHeadParser::response(RequestMethod::kOther), test.text), test.outcome)
        << test.clause << "\n"
        << test.text;
  }
}

TEST(HttpHead, EveryFaultHasANameOfItsOwnAndAStatus) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kHttpFaultCount; ++i) {
    const auto fault = static_cast<HttpFault>(i);
    EXPECT_TRUE(http_fault_status(fault) >= 400 && http_fault_status(fault) <= 505);
    names.push_back(http_fault_name(fault));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  EXPECT_EQ(http_fault_status(HttpFault::kBareLf), 400);
  EXPECT_EQ(http_fault_status(HttpFault::kTargetTooLong), 414);
  EXPECT_EQ(http_fault_status(HttpFault::kHeadTooLarge), 431);
  EXPECT_EQ(http_fault_status(HttpFault::kMethod), 501);
  EXPECT_EQ(http_fault_status(HttpFault::kVersion), 505);
}

TEST(HttpHead, ReadsWhatCurlSends) {
  const std::string text =
      "GET /a/b?c=/d HTTP/1.1\r\nHost: example.org:8080\r\nUser-Agent: curl/7.88.1\r\n"
      "Accept: */*\r\nEmpty:\r\n\r\n";
  const Parsed head = request(text + "next");
  EXPECT_EQ(head->method, "GET");
  EXPECT_EQ(head->target, "/a/b?c=/d");
  EXPECT_EQ(head->path, "/a/b");
  EXPECT_EQ(head->host, "example.org:8080");
  EXPECT_EQ(head->version, HttpVersion::k11);
  EXPECT_EQ(head->fields().size(), 4u);
  EXPECT_EQ(head->header("USER-agent"), "curl/7.88.1");
  EXPECT_EQ(head->header("empty"), "");
  EXPECT_EQ(head->header("user"), std::nullopt);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(head->framing, BodyFraming::kNone);
  EXPECT_EQ(head->size, text.size());
}

TEST(HttpHead, TheHostAndPathOfEachTargetForm) {  // RFC 9112 §3.2
  const Parsed absolute = request("GET http://a:80?q HTTP/1.1\r\nHost: a:80\r\n\r\n");
  EXPECT_EQ(absolute->host, "a:80");
  EXPECT_EQ(absolute->path, "/");
  const Parsed old = request("GET http://a/b?q HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old->host, "a");
  EXPECT_EQ(old->path, "/b");
  EXPECT_EQ(request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")->path, "*");
  const Parsed connect = request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
  EXPECT_EQ(connect->host, "a:443");
  EXPECT_EQ(connect->path, "");
  EXPECT_EQ(connect->request_method(), RequestMethod::kConnect);
}

TEST(HttpHead, TheWhitespaceAroundAValueIsNotPartOfIt) {  // RFC 9112 §5.1
  const Parsed head = request(get_with("A:b\r\nC: \t d e \t\r\n"));
  EXPECT_EQ(head->header("a"), "b");
  EXPECT_EQ(head->header("c"), "d e");
}

TEST(HttpHead, CookiesAreFoundByExactName) {  // RFC 6265 §4.2.1, §5.4
  const Parsed head =
      request(get_with("Cookie: a=1; bb=2;c=\"x=y\"; d; e=\r\nCookie: f=6; a=7\r\n"));
  EXPECT_EQ(head->cookie("a"), "1");
  EXPECT_EQ(head->cookie("bb"), "2");
  EXPECT_EQ(head->cookie("c"), "\"x=y\"");
  EXPECT_EQ(head->cookie("d"), std::nullopt);
  EXPECT_EQ(head->cookie("e"), "");
  EXPECT_EQ(head->cookie("f"), "6");
  EXPECT_EQ(head->cookie("A"), std::nullopt);
  EXPECT_EQ(head->cookie("b"), std::nullopt);
}

TEST(HttpHead, PersistenceFollowsVersionAndConnection) {  // RFC 9112 §9.3
  const auto persists = [](std::string_view version, std::string_view connection) {
    return request("GET / " + std::string(version) + "\r\nHost: a\r\n" + std::string(connection) +
                   "\r\n")
        ->keep_alive;
  };
  EXPECT_TRUE(persists("HTTP/1.1", ""));
  EXPECT_FALSE(persists("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_FALSE(persists("HTTP/1.1", "Connection: x, CLOSE\t\r\n"));
  EXPECT_FALSE(persists("HTTP/1.1", "Connection: x\r\nConnection: close\r\n"));
  EXPECT_TRUE(persists("HTTP/1.1", "Connection: closed\r\n"));
  EXPECT_FALSE(persists("HTTP/1.0", ""));
  EXPECT_TRUE(persists("HTTP/1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(persists("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST(HttpHead, AnUpgradeNeedsBothFieldsAndHttp11) {  // RFC 9110 §7.8
  EXPECT_TRUE(
      request(get_with("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"))->upgrade);
  EXPECT_FALSE(request(get_with("Upgrade: websocket\r\n"))->upgrade);
  EXPECT_FALSE(request(get_with("Connection: upgrade\r\n"))->upgrade);
  EXPECT_FALSE(
      request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")->upgrade);
  EXPECT_TRUE(response("HTTP/1.1 101 Switching Protocols\r\n\r\n")->upgrade);
  EXPECT_FALSE(response("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")->upgrade);
}

TEST(HttpHead, AnExpectationCountsInHttp11) {  // RFC 9110 §10.1.1
  EXPECT_TRUE(request(get_with("Expect: 100-Continue\r\n"))->expect_continue);
  EXPECT_FALSE(request(get_with("Expect: 200-ok\r\n"))->expect_continue);
  EXPECT_FALSE(request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")->expect_continue);
}

TEST(HttpHead, ARequestsBodyIsDelimitedByItsFields) {  // RFC 9112 §6.3
  EXPECT_EQ(request(get_with(""))->framing, BodyFraming::kNone);
  EXPECT_EQ(request(get_with("Content-Length: 0\r\n"))->framing, BodyFraming::kLength);
  const Parsed length = request(get_with("Content-Length: 1234567890123\r\n"));
  EXPECT_EQ(length->framing, BodyFraming::kLength);
  EXPECT_EQ(length->content_length, 1234567890123u);
  EXPECT_EQ(request(get_with("Transfer-Encoding: chunked\r\n"))->framing, BodyFraming::kChunked);
}

TEST(HttpHead, AResponsesBodyDependsOnStatusAndMethodToo) {  // RFC 9112 §6.3
  const auto framing = [](std::string_view status, std::string_view field,
                          RequestMethod method = RequestMethod::kOther) {
    return response("HTTP/1.1 " + std::string(status) + "\r\n" + std::string(field) + "\r\n",
                    method)
        ->framing;
  };
  constexpr std::string_view kLength = "Content-Length: 5\r\n";
  constexpr std::string_view kChunked = "Transfer-Encoding: chunked\r\n";
  EXPECT_EQ(framing("200 OK", ""), BodyFraming::kUntilClose);
  EXPECT_EQ(framing("200 OK", kLength), BodyFraming::kLength);
  EXPECT_EQ(framing("200 OK", kChunked), BodyFraming::kChunked);
  EXPECT_EQ(framing("500 No", kLength), BodyFraming::kLength);
  for (std::string_view status : {"100 Continue", "101 Go", "103 Hints", "204 No", "304 Same"}) {
    for (std::string_view field : {std::string_view(), kLength, kChunked}) {
      EXPECT_EQ(framing(status, field), BodyFraming::kNone) << status << field;
    }
  }
  EXPECT_EQ(framing("200 OK", kLength, RequestMethod::kHead), BodyFraming::kNone);
  EXPECT_EQ(framing("200 OK", kChunked, RequestMethod::kConnect), BodyFraming::kNone);
  EXPECT_EQ(framing("407 No", kLength, RequestMethod::kConnect), BodyFraming::kLength);
  EXPECT_TRUE(response("HTTP/1.1 200 OK\r\n\r\n", RequestMethod::kConnect)->upgrade);
}

TEST(HttpHead, AResponseUntilCloseDoesNotPersist) {  // RFC 9112 §9.3
  EXPECT_FALSE(response("HTTP/1.1 200 OK\r\n\r\n")->keep_alive);
  EXPECT_TRUE(response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")->keep_alive);
  EXPECT_EQ(response("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")->status, 404);
}

TEST(HttpHead, BytesThatComeOneByOneGiveTheSame) {
  const std::string text = "\r\n" + get_with("Cookie: a=b\r\nContent-Length: 3\r\n") + "xyz";
  HttpHeadParser parser = HttpHeadParser::request();
  HttpHead head;
  for (size_t size = 0;; ++size) {
    ASSERT_LE(size, text.size());
    // Anew at each size: what was given before may have moved.
    const auto bytes = std::make_unique<uint8_t[]>(size);
    std::memcpy(bytes.get(), text.data(), size);
    const auto result = parser.parse({bytes.get(), size}, head);
    ASSERT_TRUE(result) << http_fault_name(result.error());
    if (!*result) continue;
    EXPECT_EQ(size, text.size() - 3);
    EXPECT_EQ(head.size, size);
    EXPECT_EQ(head.cookie("a"), "b");
    break;
  }
}

TEST(HttpHead, AFaultIsToldAtTheByteThatMakesIt) {
  HttpHead head;
  const std::string text = get_with("A: b\r\n c");
  HttpHeadParser parser = HttpHeadParser::request();
  const size_t fault_at = text.find(" c") + 1;
  for (size_t size = 0; size <= fault_at; ++size) {
    const auto result = parser.parse({reinterpret_cast<const uint8_t*>(text.data()), size}, head);
    EXPECT_EQ(result.has_value(), size < fault_at) << size;
  }
}

TEST(HttpHead, AHeadOfTheBoundIsTakenAndOneByteMoreIsNot) {
  const std::string text = get_with("A: b\r\n");
  const auto size = static_cast<uint32_t>(text.size());
  EXPECT_EQ(outcome(HttpHeadParser::request(size), text), "head");
  EXPECT_EQ(outcome(HttpHeadParser::request(size), text + "body"), "head");
  EXPECT_EQ(outcome(HttpHeadParser::request(size - 1), text), "head_too_large");
  EXPECT_EQ(outcome(HttpHeadParser::request(20), text.substr(0, 20)), "head_too_large");
  EXPECT_EQ(outcome(HttpHeadParser::request(20), text.substr(0, 19)), "incomplete");
  EXPECT_EQ(outcome(HttpHeadParser::request(10), text), "target_too_long");  // RFC 9112 §3
  EXPECT_EQ(
      outcome(HttpHeadParser::request(UINT32_MAX), std::string(HttpHeadParser::kMaxSize, 'A')),
      "target_too_long");
}

TEST(HttpHead, TheNumberOfFieldsIsBounded) {
  std::string fields;
  for (int i = 1; i < FieldLines::kMaxFields; ++i) fields += "A: b\r\n";
  EXPECT_EQ(request(get_with(fields))->fields().size(), size_t{FieldLines::kMaxFields});
  EXPECT_EQ(outcome(HttpHeadParser::request(), get_with(fields + "A: b\r\n")), "too_many_fields");
}

}  // namespace
}  // namespace fairlead::protocol
