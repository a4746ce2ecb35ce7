#include "control/config/syntax.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace fairlead::control {
namespace {

// The tree in one line: "a(x y){b(){}}" for `a x y { b }`; a block shows as braces.
std::string dump(const std::vector<Statement>& statements) {
  std::string out;
  for (const Statement& s : statements) {
    if (!out.empty()) out += ' ';
    out += s.keyword.text + "(";
    for (const Word& argument : s.arguments) out += "<" + argument.text + ">";
    out += ")";
    if (s.has_block) out += "{" + dump(s.children) + "}";
  }
  return out;
}

struct Case {
  std::string_view text;
  std::string_view tree;
  std::string_view errors = "";  // lines joined by newlines
};

void expect(const Case& c) {
  SCOPED_TRACE(c.text);
  Diagnostics diagnostics("f");
  EXPECT_EQ(dump(parse_syntax(c.text, diagnostics)), c.tree);
  EXPECT_EQ(diagnostics.to_string(), c.errors);
}

TEST(ConfigSyntax, StatementsEndWithALineOrASemicolon) {
  expect({"", ""});
  expect({"\n\n ; ;\n", ""});
  expect({"a", "a()"});
  expect({"a b c\n", "a(<b><c>)"});
  expect({"a; b x;c", "a() b(<x>) c()"});
  expect({"a\r\nb\r\n", "a() b()"});
}

TEST(ConfigSyntax, BlocksNest) {
  expect({"a { }", "a(){}"});
  expect({"a x{b y}", "a(<x>){b(<y>)}"});
  expect({"a {\n b {\n c\n }\n d\n}\ne", "a(){b(){c()} d()} e()"});
}

TEST(ConfigSyntax, AnOpeningBraceMayStandOnTheLineBelow) {
  expect({"a x\n\n{ b\n}", "a(<x>){b()}"});
  expect({"a x ! comment\n{ b }", "a(<x>){b()}"});
}

TEST(ConfigSyntax, CommentsBeginWhereAWordCould) {
  expect({"! a\n# b\nc ! d e\nf#g h!i # j", "c() f#g(<h!i>)"});
  expect({"a {! b\n}", "a(){}"});
}

TEST(ConfigSyntax, StringsHoldAnything) {
  expect({R"(a "b c" "{;}" "" "#")", R"(a(<b c><{;}><><#>))"});
  expect({R"(a "\"\\\n\t")", "a(<\"\\\n\t>)"});
  expect({R"(a"b"c)", "a(<b><c>)"});
}

TEST(ConfigSyntax, MistakesAreReportedWhereTheyAre) {
  expect({"a {\n b", "a(){b()}",
          R"(f:2:3: found the end of the file; expected "}" for "a" of line 1)"});
  expect({"a\n }\nb", "a() b()", R"(f:2:2: found "}" where no block is open)"});
  expect({"a;{ b }\nc", "a() c()", R"(f:1:3: found "{" with no keyword before it)"});
  expect({"a \"b\nc", "a(<b>) c()",
          "f:1:3: found a string that does not end on its line; expected a closing \""});
  expect({"a \"b\\\nc", "a(<b>) c()",
          "f:1:3: found a string that does not end on its line; expected a closing \""});
  expect({R"(a "x\y")", "a(<xy>)", R"(f:1:5: found escape "\y"; expected \", \\, \n or \t)"});
  expect({R"("a" b)", "a(<b>)", R"(f:1:1: found the string "a"; expected a keyword)"});
  expect({"a \x01\x02 b", "a(<b>)", "f:1:3: found control character 0x01; expected text"});
  expect({std::string_view("a\0b", 3), "a(<b>)",
          "f:1:2: found control character 0x00; expected text"});
}

TEST(ConfigSyntax, AllMistakesOfAFileAreReportedUpToABound) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "}\n";
  Diagnostics diagnostics("f");
  static_cast<void>(parse_syntax(text, diagnostics));
  const std::vector<std::string> lines = diagnostics.lines();
  ASSERT_EQ(lines.size(), Diagnostics::kMaxErrors + 1);
  EXPECT_EQ(lines.front(), R"(f:1:1: found "}" where no block is open)");
  EXPECT_EQ(lines.back(), "f: 10 more errors");
  EXPECT_EQ(diagnostics.count(), 30u);
}

TEST(ConfigSyntax, DepthIsBounded) {
  std::string deep;
  for (size_t i = 0; i < SyntaxLimits::kMaxDepth; ++i) deep += "a {";
  std::string allowed = deep + std::string(SyntaxLimits::kMaxDepth, '}');
  Diagnostics none("f");
  static_cast<void>(parse_syntax(allowed, none));
  EXPECT_EQ(none.to_string(), "");

  Diagnostics one("f");
  static_cast<void>(parse_syntax(std::string(1000, '{'), one));
  EXPECT_EQ(one.lines().back(), "f:1:17: found blocks nested deeper than 16");
  Diagnostics named("f");
  static_cast<void>(parse_syntax(deep + "a {", named));
  EXPECT_EQ(named.to_string(), "f:1:51: found blocks nested deeper than 16");
}

TEST(ConfigSyntax, ArgumentsStatementsWordsAndBytesAreBounded) {
  std::string many_arguments = "a";
  for (size_t i = 0; i < SyntaxLimits::kMaxArguments + 9; ++i) many_arguments += " b";
  Diagnostics arguments("f");
  const auto statements = parse_syntax(many_arguments + "\nc", arguments);
  EXPECT_EQ(arguments.to_string(), R"(f:1:131: found more than 64 arguments for "a")");
  ASSERT_EQ(statements.size(), 2u);
  EXPECT_EQ(statements[0].arguments.size(), SyntaxLimits::kMaxArguments);

  std::string many_statements;
  for (size_t i = 0; i <= SyntaxLimits::kMaxStatements; ++i) many_statements += "a;";
  Diagnostics count("f");
  EXPECT_EQ(parse_syntax(many_statements, count).size(), SyntaxLimits::kMaxStatements);
  EXPECT_EQ(count.to_string(), "f:1:131073: found more than 65536 statements");

  Diagnostics word("f");
  static_cast<void>(parse_syntax(std::string(5000, 'a'), word));
  EXPECT_EQ(word.to_string(), "f:1:1: found a word of 5000 bytes; expected at most 4096");

  Diagnostics bytes("f");
  EXPECT_TRUE(parse_syntax(std::string(SyntaxLimits::kMaxFile + 1, ' '), bytes).empty());
  EXPECT_EQ(bytes.to_string(),
            "f: found 1048577 bytes; expected a configuration of at most 1048576");
}

TEST(ConfigSyntax, WhatIsQuotedFromAFileCannotControlTheTerminal) {
  EXPECT_EQ(in_quotes("\x1b[2J\x7f"), R"("\x1b[2J\x7f")");
  EXPECT_EQ(in_quotes(std::string(61, 'a')), "\"" + std::string(60, 'a') + "…\"");
}

}  // namespace
}  // namespace fairlead::control
