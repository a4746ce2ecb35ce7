#include "service/switch/balance/request_facts.h"

#include <gtest/gtest.h>

namespace fairlead::balance {
namespace {

TEST(RequestFacts, AHostNameIsTheHostWithoutItsPort) {
  EXPECT_EQ(host_name("example.org"), "example.org");
  EXPECT_EQ(host_name("example.org:8080"), "example.org");
  EXPECT_EQ(host_name("example.org."), "example.org");
  EXPECT_EQ(host_name("example.org.:80"), "example.org");
  EXPECT_EQ(host_name("[2001:db8::1]:80"), "[2001:db8::1]");
  EXPECT_EQ(host_name("[2001:db8::1]"), "[2001:db8::1]");
  EXPECT_EQ(host_name(""), "");
  EXPECT_EQ(host_name(":80"), "");
  EXPECT_EQ(host_name("."), "");
  EXPECT_EQ(host_name("a]b:c:d"), "a]b");
}

TEST(RequestFacts, ATargetPathIsThatOfEveryFormWithoutTheQuery) {
  EXPECT_EQ(target_path("/a/b?c?d"), "/a/b");
  EXPECT_EQ(target_path("/"), "/");
  EXPECT_EQ(target_path("http://example.org/a?b"), "/a");
  EXPECT_EQ(target_path("http://example.org:80"), "/");
  EXPECT_EQ(target_path("http://example.org?a=/b"), "/");
  EXPECT_EQ(target_path("/redirect?to=http://example.org/x"), "/redirect");
  EXPECT_EQ(target_path("/http://x/y"), "/http://x/y");
  EXPECT_EQ(target_path("*"), "*");
  EXPECT_EQ(target_path("example.org:443"), "example.org:443");
  EXPECT_EQ(target_path(""), "");
  EXPECT_EQ(target_path("?"), "");
}

}  // namespace
}  // namespace fairlead::balance
