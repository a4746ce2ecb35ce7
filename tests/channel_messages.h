// Channel messages written again after they were read.
#pragma once

#include <vector>

#include "nic/channel/channel.h"

namespace fairlead::test {

/// What encode() makes of a decoded message, between the same two addresses as `frame`.
std::vector<uint8_t> encoded_again(const nic::ChannelMessage& message, ByteSpan frame);

}  // namespace fairlead::test
