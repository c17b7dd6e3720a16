#pragma once

#include <string>
#include <string_view>

namespace arrowmind::arrow {

// Well-formed UTF-8 as Unicode defines it: shortest forms only, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// The text itself when it is UTF-8, else with '?' for each byte outside ASCII: for messages.
std::string printable(std::string_view text);

}  // namespace arrowmind::arrow
