// "Did you mean": the known word nearest to one that is not.
#pragma once

#include <span>
#include <string_view>

namespace fairlead::control {

/// The candidate that differs from `word` by the fewest edits (insert, delete, replace, swap of
/// neighbours), empty when even that is more than a third of the word's length away. The first one
/// wins a tie.
std::string_view closest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace fairlead::control
