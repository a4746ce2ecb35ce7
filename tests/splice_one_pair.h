// What the plain-C headers of the splice rule leave to whoever includes them, for tests: a packet
// is a ByteSpan, and the table has the rule that is looked for, and its peer. The peer's own
// packets find nothing.
#pragma once

#include <cstring>

#include "base/bytes.h"
#include "nic/splice/rule.h"
#include "nic/steering/load_from_span.h"

namespace fairlead::test {

struct OnePair {
  nic::SpliceRecord record;
  bool found = false;
};

}  // namespace fairlead::test

static inline fl_splice_rule* fl_splice_find(void* tables, const fl_splice_key* key) {
  auto* pair = static_cast<fairlead::test::OnePair*>(tables);
  fl_splice_key wanted = pair->record.key;
  if (pair->found) fl_splice_reverse_key(&wanted, &pair->record.rule);
  pair->found = std::memcmp(&wanted, key, sizeof *key) == 0;
  return pair->found ? &pair->record.rule : nullptr;
}
