// Table: rows of text in aligned columns, for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fairlead::control {

class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell per column. Control characters are shown as '?': cells may come from elsewhere.
  void add(std::vector<std::string> cells);
  size_t rows() const { return rows_.size(); }

  /// Heading and rows, two spaces between columns, no blanks at line ends; each line ends with
  /// '\n'.
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fairlead::control
